#include "bdev/nvme/nvme_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <coroutine>
#include <utility>

#include "base/assert.h"
#include "bdev/nvme/command_limits.h"
#include "bdev/nvme/nvme_bdev.h"
#include "core/elsewhere.h"

namespace weft::bdev {
namespace {

/// `co_await Leaving{port, home}`: goes on at home when the port is left.
struct Leaving {
  NvmePort& port;
  Reactor& home;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) const {
    port.reactor().post([*this, awaiting] {
      port.leave([*this, awaiting] { home.post([awaiting] { awaiting.resume(); }); });
    });
  }
  void await_resume() const noexcept {}
};

/// As one that is driven here: its logs can be read, and its writes are split as is known.
Info describe(nvme::Controller& controller, const nvme::NamespaceFacts& ns) {
  Info info = bdev::describe(fmt::format("nvme:{},nsid={}", controller.function().name(), ns.nsid), controller.facts(), ns);
  info.atomicity = atomicity_of(controller.facts(), ns);
  info.has_logs = true;
  return info;
}

}  // namespace

Info describe(std::string name, const nvme::ControllerFacts& facts, const nvme::NamespaceFacts& ns) {
  const bool zeroes_deallocate = facts.has_write_zeroes && ns.reads_zeroes_after_zeroing;
  return {.name = std::move(name),
          .medium_id = lasting_id(facts, ns),
          .identity = {.uuid = ns.uuid, .nguid = ns.nguid, .eui64 = ns.eui64, .serial = facts.serial},
          .block_count = ns.block_count,
          .block_size = ns.block_size,
          .preferred_blocks = ns.preferred_blocks,
          .boundary_blocks = ns.boundary_blocks,
          .atomicity = {},
          .has_volatile_cache = facts.has_volatile_cache,
          .can_deallocate = facts.has_deallocate || zeroes_deallocate,
          .deallocated_reads_zero = zeroes_deallocate,
          .is_read_only = ns.is_write_protected};
}

NvmeDevice::NvmeDevice(Reactor& home, std::span<Reactor* const> reactors, std::string name, std::move_only_function<void()> on_lost)
    : home_(home), name_(std::move(name)), on_lost_(std::move(on_lost)) {
  for (Reactor* reactor : reactors) ports_.push_back(std::make_unique<NvmePort>(*reactor));
}

NvmeDevice::~NvmeDevice() {
  WEFT_ASSERT(controller_ == nullptr);
  WEFT_ASSERT(bdevs_.empty());
}

NvmePort& NvmeDevice::port(Reactor& reactor) {
  const auto found = std::ranges::find(ports_, &reactor, [](const auto& port) { return &port->reactor(); });
  WEFT_ASSERT(found != ports_.end());
  return **found;
}

Task<Result<void>> NvmeDevice::enter_all() {
  Result<void> entered;
  for (size_t i = 0; i < ports_.size() && entered; ++i) {
    NvmePort& port = *ports_[i];
    NvmeView now = view();
    co_await Elsewhere{port.reactor(), home_, [&port, &entered, &now, &controller = *controller_] {
                         entered = port.enter(controller);
                         port.show(std::move(now));
                       }};
  }
  co_return entered;
}

void NvmeDevice::use(nvme::Controller& controller, std::move_only_function<void(Result<void>)> done) {
  WEFT_ASSERT(controller_ == nullptr && (!running_ || running_->is_done()));
  controller_ = &controller;
  controller.watch([this] { controller_changed(); });
  running_.emplace(enter_all());
  running_->start([this, done = std::move(done)]() mutable {
    const Result<void> entered = running_->take();
    for (NvmeBdev* bdev : bdevs_) bdev->look_again();
    done(entered);
  });
}

Task<Result<void>> NvmeDevice::leave_all() {
  for (size_t i = 0; i < ports_.size(); ++i) co_await Leaving{*ports_[i], home_};
  log_latencies();
  co_return Result<void>{};
}

void NvmeDevice::leave(std::move_only_function<void()> left) {
  WEFT_ASSERT(controller_ != nullptr && running_->is_done());
  std::exchange(controller_, nullptr)->watch({});
  for (NvmeBdev* bdev : bdevs_) bdev->look_again();
  running_.emplace(leave_all());
  running_->start(std::move(left));
}

Latencies::Sum NvmeDevice::latencies(Op op) const {
  Latencies::Sum sum;
  for (const auto& port : ports_) sum.add(port->latencies(op));
  return sum;
}

/// For who asks, when the device goes, whether it was slow.
void NvmeDevice::log_latencies() const {
  constexpr std::array kNames{"reads", "writes", "flushes", "write zeroes", "deallocations", "compares", "verifications", "copies"};
  static_assert(kNames.size() == kOps);
  for (size_t op = 0; op < kOps; ++op) {
    const Latencies::Sum sum = latencies(Op(op));
    if (sum.count() == 0) continue;
    const auto within = [&](uint64_t of_thousand) { return double(sum.within(of_thousand).ns) / 1000; };
    home_.log().info("{}: {} {}, half within {:.0f} us, 99 % within {:.0f} us", name_, sum.count(), kNames[op], within(500), within(990));
  }
}

Result<std::unique_ptr<Bdev>> NvmeDevice::make(uint32_t nsid) {
  WEFT_ASSERT(controller_ != nullptr);
  const auto facts = controller_->find_namespace(nsid);
  if (!facts) return std::unexpected(facts.error());
  auto bdev = std::make_unique<NvmeBdev>(*this, describe(*controller_, *facts), nsid);
  bdevs_.push_back(bdev.get());
  tell_ports();
  return bdev;
}

Result<nvme::NamespaceFacts> NvmeDevice::look_for(const NvmeBdev& bdev) const {
  if (controller_ == nullptr || controller_->state() == nvme::Controller::State::kFailed) return fail(Errc::kNotFound, fmt::format("{} is away", name_));
  auto facts = controller_->find_namespace(bdev.nsid());
  if (!facts) return facts;
  if (auto same = bdev.compare(describe(*controller_, *facts)); !same) return std::unexpected(same.error());
  return facts;
}

NvmeView NvmeDevice::view() const {
  NvmeView now{.controller = controller_->facts(), .namespaces = {}};
  for (const NvmeBdev* bdev : bdevs_) {
    if (const auto facts = look_for(*bdev)) now.namespaces.push_back({bdev, *facts});
  }
  return now;
}

void NvmeDevice::tell_ports() {
  for (const auto& port : ports_) {
    port->reactor().post([&port = *port, now = view()]() mutable { port.show(std::move(now)); });
  }
}

void NvmeDevice::controller_changed() {
  const bool is_lost = controller_->state() == nvme::Controller::State::kFailed;
  if (!is_lost) tell_ports();
  for (NvmeBdev* bdev : bdevs_) bdev->look_again();
  if (!is_lost) return;
  // Not from inside the controller, which whoever hears of it may let go.
  home_.post([this] {
    if (controller_ != nullptr && controller_->state() == nvme::Controller::State::kFailed) on_lost_();
  });
}

}  // namespace weft::bdev
