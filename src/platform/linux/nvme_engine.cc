#include "platform/linux/nvme_engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/reactor.h"
#include "platform/linux/ask_reactor.h"

namespace weft::platform {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kFirstPause{1};
constexpr std::chrono::seconds kLongestPause{32};
constexpr std::chrono::seconds kStopMax{15};  // a shutdown by RTD3E, and what it waits for

}  // namespace

NvmeEngine::~NvmeEngine() { WEFT_ASSERT(devices_.empty()); }

void NvmeEngine::set_state(Device& device, State state) {
  const std::lock_guard lock{mutex_};
  device.state = state;
  changed_.notify_all();
}

// --- asked by the control thread -----------------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<bdev::Bdev>> NvmeEngine::make_device(const Wanted& wanted) {
  const auto device = find_or_make(wanted);
  if (!device) return std::unexpected(device.error());
  using Made = Result<std::unique_ptr<bdev::Bdev>>;
  return ask<Made>(home(), [device = *device, nsid = wanted.nsid](Answer<Made> answer) {
    if (device->is_used) return answer->set_value(device->place->make(nsid));
    answer->set_value(fail(Errc::kNotFound, fmt::format("{} is away", device->address)));
  });
}

Result<NvmeEngine::Device*> NvmeEngine::find_or_make(const Wanted& wanted) {
  const auto found = find_nvme_device(SystemRoot{}, wanted.address);
  if (!found) return std::unexpected(found.error());
  const auto same = std::ranges::find(devices_, found->address, [](const auto& device) { return device->address; });
  if (same != devices_.end()) return same->get();
  auto device = make(*found, wanted.allows_no_iommu);
  if (auto done = bring_up(*device); !done) return std::unexpected(done.error());
  const nvme::ControllerFacts& facts = device->controller->facts();
  log_.info("nvme:{}: {}, serial {}, driven by this process", device->address, facts.model, facts.serial);
  if (!found->has_iommu) log_.warn("nvme:{}: no IOMMU stands before it: it can read and write all memory of this machine", device->address);
  const std::lock_guard lock{mutex_};
  devices_.push_back(std::move(device));
  if (!thread_.joinable()) thread_ = std::thread{[this] { run(); }};
  return devices_.back().get();
}

std::unique_ptr<NvmeEngine::Device> NvmeEngine::make(const NvmeDevice& found, bool allows_no_iommu) {
  auto device = std::make_unique<Device>();
  device->address = found.address;
  device->allows_no_iommu = allows_no_iommu;
  std::vector<Reactor*> reactors;
  for (const auto& room : rooms_) reactors.push_back(&room.reactor);
  device->place = std::make_unique<bdev::NvmeDevice>(home(), reactors, found.address, [this, raw = device.get()] { let_go(*raw); });
  return device;
}

Result<VfioContainer*> NvmeEngine::container_for(const NvmeDevice& found) {
  const std::lock_guard lock{mutex_};
  const Isolation isolation = found.has_iommu ? Isolation::kIommu : Isolation::kNone;
  if (const auto same = containers_.find(isolation); same != containers_.end()) return same->second.get();
  auto container = VfioContainer::open(isolation, memory_, pools_);
  if (!container) return std::unexpected(container.error());
  return containers_.emplace(isolation, std::move(*container)).first->second.get();
}

Result<std::unique_ptr<VfioFunction>> NvmeEngine::open(const Device& device) {
  const auto found = find_nvme_device(SystemRoot{}, device.address);
  if (!found) return std::unexpected(found.error());
  if (found->driver == "vfio-pci" && !found->has_iommu && !device.allows_no_iommu) {
    return fail(Errc::kDenied, fmt::format("nvme:{}: no IOMMU stands before it, so it can read and write all memory of this machine: "
                                           "nvme:{},unsafe_no_iommu=true takes it all the same", device.address, device.address));
  }
  const auto container = container_for(*found);
  if (!container) return std::unexpected(container.error());
  return VfioFunction::open(**container, *found, rooms_);
}

/// Whoever calls waits. After an error the device is away.
Result<void> NvmeEngine::bring_up(Device& device) {
  set_state(device, State::kComing);
  auto function = open(device);
  if (!function) {
    set_state(device, State::kAway);
    return std::unexpected(function.error());
  }
  device.function = std::move(*function);
  const auto started = ask<Result<void>>(home(), [this, &device](Answer<Result<void>> answer) {
    start(device, [answer = std::move(answer)](Result<void> result) { answer->set_value(std::move(result)); });
  });
  if (!started) close(device);
  return started;
}

void NvmeEngine::close(Device& device) {
  device.function.reset();
  set_state(device, State::kAway);
}

bool NvmeEngine::stop() {
  const auto deadline = Clock::now() + kStopMax;
  std::unique_lock lock{mutex_};
  is_stopping_ = true;
  changed_.notify_all();
  for (const auto& device : devices_) {
    if (!changed_.wait_until(lock, deadline, [&] { return device->state != State::kComing; })) return false;
    home().post([this, raw = device.get()] { let_go(*raw); });
    if (!changed_.wait_until(lock, deadline, [&] { return device->state == State::kAway; })) return false;  // it may still use what would be destroyed
  }
  lock.unlock();
  if (thread_.joinable()) thread_.join();
  for (const auto& device : devices_) {
    ask<void>(home(), [&](Answer<void> answer) {
      device->place.reset();
      answer->set_value();
    });
  }
  devices_.clear();
  containers_.clear();
  return true;
}

// --- on the home reactor ------------------------------------------------------------------------------------------------------------------------

/// `done` is told when the namespaces can be used, or why not; then only the function is left.
void NvmeEngine::start(Device& device, std::move_only_function<void(Result<void>)> done) {
  if (auto watched = device.function->watch_leaving(rooms_.front(), [this, &device] { let_go(device); }); !watched) return done(watched);
  device.controller = std::make_unique<nvme::Controller>(home(), *device.function, nvme::ControllerOptions{.io_queues = uint32_t(rooms_.size())});
  device.controller->start([this, &device, done = std::move(done)](Result<void> started) mutable {
    if (!started) return abandon(device, started.error(), std::move(done));
    device.place->use(*device.controller, [this, &device, done = std::move(done)](Result<void> used) mutable {
      if (!used) {
        return device.place->leave([this, &device, why = used.error(), done = std::move(done)]() mutable { abandon(device, std::move(why), std::move(done)); });
      }
      device.is_used = true;
      set_state(device, State::kHere);
      done({});
    });
  });
}

void NvmeEngine::abandon(Device& device, Error why, std::move_only_function<void(Result<void>)> done) {
  stop_controller(device, [why = std::move(why), done = std::move(done)]() mutable { done(std::unexpected(std::move(why))); });
}

/// The kernel wants it back, it has failed, or the target ends; what comes twice is one. While it is coming up there is nothing to let go of: the kernel
/// asks again.
void NvmeEngine::let_go(Device& device) {
  if (!std::exchange(device.is_used, false)) return;
  set_state(device, State::kGoing);
  device.place->leave([this, &device] {
    stop_controller(device, [this, &device] { set_state(device, State::kGone); });
  });
}

void NvmeEngine::stop_controller(Device& device, std::move_only_function<void()> done) {
  device.controller->stop([this, &device, done = std::move(done)]() mutable {
    home().post([&device, done = std::move(done)]() mutable {  // not from inside the controller
      device.controller.reset();
      device.function->ignore_leaving();
      done();
    });
  });
}

// --- on the thread ------------------------------------------------------------------------------------------------------------------------------

/// Closes what has gone, and tries again and again to bring back what is away.
void NvmeEngine::run() {
  std::unique_lock lock{mutex_};
  while (!is_over()) {
    Device* const gone = find(State::kGone);
    Device* const away = is_stopping_ ? nullptr : find(State::kAway);
    if (gone != nullptr) {
      lock.unlock();
      close(*gone);
      gone->pause = kFirstPause;
      gone->next_try = Clock::now() + gone->pause;
      lock.lock();
    } else if (away == nullptr) {
      changed_.wait(lock);
    } else if (Clock::now() < away->next_try) {
      changed_.wait_until(lock, away->next_try);
    } else {
      lock.unlock();
      try_to_bring_back(*away);
      lock.lock();
    }
  }
}

bool NvmeEngine::is_over() {
  return is_stopping_ && std::ranges::all_of(devices_, [](const auto& device) { return device->state == State::kAway; });
}

/// The one whose turn is next, or null.
NvmeEngine::Device* NvmeEngine::find(State state) {
  Device* found = nullptr;
  for (const auto& device : devices_) {
    if (device->state == state && (found == nullptr || device->next_try < found->next_try)) found = device.get();
  }
  return found;
}

/// One that the kernel or nobody has is looked for every second; one that does not come up, ever more rarely.
void NvmeEngine::try_to_bring_back(Device& device) {
  const auto found = find_nvme_device(SystemRoot{}, device.address);
  const bool is_ours = found && found->driver == "vfio-pci";
  const auto done = is_ours ? bring_up(device) : Result<void>{};
  device.pause = !is_ours || done ? kFirstPause : std::min(2 * device.pause, kLongestPause);
  device.next_try = Clock::now() + device.pause;
  const std::string error{done ? "" : done.error().what()};
  if (std::exchange(device.last_error, error) == error || done) return;
  home().post([this, why = device.last_error] { home().log().warn("{}: it is not back yet", why); });
}

}  // namespace weft::platform
