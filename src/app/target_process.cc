#include "app/target_process.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <latch>

#include "app/device_request.h"
#include "control/identity.h"
#include "core/rdma_memory.h"
#include "platform/linux/ask_reactor.h"
#include "platform/linux/machine.h"
#include "platform/linux/memory_lock.h"
#include "platform/linux/open_device.h"
#include "platform/linux/process.h"
#include "transport/tcp/connection.h"

namespace weft::app {
namespace {

constexpr size_t kDefaultReactorsMax = 4;       // with no cores configured
constexpr uint64_t kDescriptorsBeside = 256;    // files, rings, event loops, standard streams
constexpr auto kStopSlack = std::chrono::seconds(2);

bool is_wildcard(const net::Address& address) { return address.host == "0.0.0.0" || address.host == "::"; }

nvmf::NamespaceIdentity to_target(const control::NamespaceIdentity& from) {
  nvmf::NamespaceIdentity identity;
  const auto copy = [](auto& target, const auto& source) { std::memcpy(target.data(), source.data(), sizeof target); };
  copy(identity.uuid, from.uuid.bytes);
  copy(identity.nguid, from.nguid);
  copy(identity.eui64, from.eui64);
  return identity;
}

}  // namespace

std::vector<uint32_t> TargetProcess::cores_of(const control::Config& config) {
  if (!config.target.cores.empty()) return config.target.cores;
  auto cores = platform::allowed_cores();
  if (cores.size() > kDefaultReactorsMax) cores.resize(kDefaultReactorsMax);
  return cores;
}

TargetProcess::Room::Room(std::unique_ptr<platform::EventLoop> event_loop, const Reactor::Options& options, LogSink& sink,
                          const Limits& limits)
    : loop(std::move(event_loop)),
      reactor(options, *loop, sink),
      network(*loop, reactor),
      sockets(reactor, {.receive_bytes = limits.receive_buffer_bytes,
                        .send_iovecs = limits.send_iovecs,
                        .partial_bytes = tcp::Connection::kPartialMax,
                        .stalled_send = milliseconds(limits.stalled_send_ms)}) {
  reactor.add(*loop);
  reactor.add(sockets);
}

TargetProcess::Room::~Room() {
  reactor.remove(sockets);
  reactor.remove(*loop);
}

TargetProcess::TargetProcess(control::Config config, std::unique_ptr<platform::LogHub> logs)
    : config_(std::move(config)), logs_(std::move(logs)), sink_(logs_->add("weft")), log_(sink_) {}

Result<std::unique_ptr<TargetProcess>> TargetProcess::start(control::Config config, Options options) {
  auto logs = platform::LogHub::create(options.log ? std::move(options.log) : platform::make_stderr_output());
  if (!logs) return std::unexpected(logs.error());
  std::unique_ptr<TargetProcess> process{new TargetProcess(std::move(config), std::move(*logs))};
  for (auto step : {&TargetProcess::make_rooms, &TargetProcess::run_reactors, &TargetProcess::add_namespaces, &TargetProcess::listen}) {
    if (step == &TargetProcess::run_reactors) {
      if (auto made = process->make_target(options); !made) return std::unexpected(made.error());
    }
    if (auto done = (process.get()->*step)(); !done) {
      process->drain_log();
      return std::unexpected(done.error());
    }
  }
  process->drain_log();
  return process;
}

Result<void> TargetProcess::make_rooms() {
  uint32_t index = 0;
  for (const uint32_t core : cores_of(config_)) {
    auto loop = platform::EventLoop::create();
    if (!loop) return std::unexpected(loop.error());
    const auto poll = config_.target.poll == control::PollMode::kAlways ? PollMode::kAlways : PollMode::kAdaptive;
    rooms_.push_back(std::make_unique<Room>(std::move(*loop), Reactor::Options{.index = index, .poll = poll},
                                            logs_->add(fmt::format("core {}", core)), config_.target.limits));
    ++index;
  }
  return {};
}

Result<void> TargetProcess::make_target(const Options& options) {
  auto id = platform::machine_id(options.state_directory);
  if (!id) {
    return fail(id.error().code, fmt::format("{}; namespaces take their identity from the machine's: make /etc/machine-id with "
                                             "systemd-machine-id-setup, as root", id.error().what()));
  }
  machine_id_ = std::move(*id);
  config_ = control::with_default_names(control::with_nsids(std::move(config_)), machine_id_);

  const uint64_t wanted = config_.target.limits.connections + kDescriptorsBeside;
  const uint64_t granted = platform::raise_descriptor_limit(wanted);
  if (granted < wanted) {
    const auto fits = uint32_t(granted > kDescriptorsBeside ? granted - kDescriptorsBeside : 1);
    log_.warn("at most {} connections instead of {}: only {} descriptors are allowed; raise LimitNOFILE= of the service or ulimit -Hn", fits,
              config_.target.limits.connections, granted);
    config_.target.limits.connections = fits;
  }

  std::vector<nvmf::Target::ShardResources> resources;
  std::vector<platform::EventLoop*> loops;
  for (const auto& room : rooms_) {
    resources.push_back({room->reactor, memory_});
    loops.push_back(room->loop.get());
  }
  media_ = std::make_unique<platform::MediaEngine>(options.media, loops, log_);
  auto target = nvmf::Target::create(config_.target.limits, resources);
  if (!target) return std::unexpected(target.error());
  target_ = std::move(*target);
  make_nvme();
  for (const control::SubsystemConfig& subsystem : config_.subsystems) {
    // Loopback listeners accept any host unless hosts are listed; validate() has refused what leaves this unclear elsewhere.
    auto added = target_->add_subsystem({.nqn = subsystem.nqn,
                                         .serial = subsystem.serial,
                                         .model = subsystem.model.empty() ? "Weft" : subsystem.model,
                                         .access = {.allow_any_host = accepts_any_host(subsystem), .hosts = subsystem.allow_hosts},
                                         .has_subsystem_reset = subsystem.subsystem_reset});
    if (!added) return std::unexpected(added.error());
  }
  std::vector<platform::TcpRoom> transport_rooms;
  for (size_t i = 0; i < rooms_.size(); ++i) transport_rooms.push_back({rooms_[i]->network, rooms_[i]->sockets, *target_->shards()[i]});
  transport_ = platform::make_tcp_transport(config_.target.limits, transport_rooms);
  return make_rdma();
}

/// Devices that are driven here reach the buffer pools of every reactor.
void TargetProcess::make_nvme() {
  std::vector<platform::VfioFunction::Room> rooms;
  std::vector<std::span<std::byte>> pools;
  for (size_t i = 0; i < rooms_.size(); ++i) {
    rooms.push_back({rooms_[i]->reactor, *rooms_[i]->loop});
    for (size_t share = 0; share < kShareCount; ++share) pools.push_back(target_->shards()[i]->buffers().region(Share(share)));
  }
  nvme_ = std::make_unique<platform::NvmeEngine>(std::move(rooms), memory_, std::move(pools), log_);
}

/// Where there is no RDMA, the other listeners serve without it; only where it is all that was asked for that is an error.
Result<void> TargetProcess::make_rdma() {
  const auto is_rdma = [](const control::ListenerConfig& listener) { return listener.scheme == control::Scheme::kRdma; };
  if (std::ranges::none_of(config_.listeners, is_rdma)) return {};
  std::vector<RdmaService::Room> rooms;
  for (size_t i = 0; i < rooms_.size(); ++i) rooms.push_back({*rooms_[i]->loop, rooms_[i]->reactor, memory_, *target_->shards()[i]});
  auto service = RdmaService::create(config_.target.limits, rooms);
  if (service) {
    rdma_ = std::move(*service);
    // The first host would find out; said now, it can be cured before one comes.
    const auto locked = platform::check_memory_lock("RDMA", rooms.size() * rdma_locked_bytes(config_.target.limits), 0);
    if (!locked) log_.warn("{}; hosts will be refused", locked.error().what());
    return {};
  }
  if (std::ranges::all_of(config_.listeners, is_rdma)) return std::unexpected(service.error());
  log_.error("no RDMA: {}; the listeners over TCP serve without it", service.error().what());
  return {};
}

Result<void> TargetProcess::run_reactors() {
  const auto cores = cores_of(config_);
  std::vector<Result<void>> settled(rooms_.size());
  std::latch are_settled(std::ptrdiff_t(rooms_.size()));
  for (size_t i = 0; i < rooms_.size(); ++i) {
    rooms_[i]->thread = std::jthread([i, core = cores[i], &settled, &are_settled, &reactor = rooms_[i]->reactor] {
      settled[i] = platform::settle_thread(fmt::format("weft-{}", i), core);
      are_settled.count_down();
      reactor.run();
    });
  }
  are_settled.wait();
  is_running_ = true;
  for (const auto& result : settled) {
    if (!result) return result;
  }
  return {};
}

Result<void> TargetProcess::add_namespaces() {
  uint64_t seed = 0;
  platform::random_bytes(std::as_writable_bytes(std::span{&seed, 1}));
  Prng random{seed};
  for (size_t i = 0; i < config_.subsystems.size(); ++i) {
    nvmf::Subsystem& subsystem = *target_->subsystems()[i + 1];  // the first is the discovery subsystem
    for (const control::NamespaceConfig& ns : config_.subsystems[i].namespaces) {
      auto device = platform::open_device(device_request(ns.device), {*media_, *nvme_, memory_, log_});
      if (!device) return std::unexpected(device.error());
      const bdev::Info& info = (*device)->info();
      const auto identity = control::identity_for(ns.device.uuid, info.identity, {machine_id_, config_.subsystems[i].nqn, info.medium_id}, random);
      const auto added = platform::ask<Result<void>>(target_->home(), [&](platform::Answer<Result<void>> answer) {
        subsystem.set_serial(control::serial_for(config_.subsystems[i], machine_id_, info.identity));
        target_->add_namespace(subsystem, ns.nsid, to_target(identity), std::move(*device),
                               [answer = std::move(answer)](Result<void> result) { answer->set_value(std::move(result)); });
      });
      if (!added) return added;
    }
  }
  return {};
}

Result<void> TargetProcess::listen() {
  return platform::ask<Result<void>>(target_->home(), [this](platform::Answer<Result<void>> answer) {
    std::vector<nvmf::ListenerRecord> records;
    const bool has_tcp = std::ranges::any_of(config_.listeners, [](const auto& each) { return each.scheme == control::Scheme::kTcp; });
    for (const control::ListenerConfig& listener : config_.listeners) {
      const bool is_rdma = listener.scheme == control::Scheme::kRdma;
      if (is_rdma && rdma_ == nullptr) continue;  // make_rdma() has said why
      auto bound = is_rdma ? rdma_->transport().listen(listener.address) : transport_->listen(listener.address);
      if (!bound && is_rdma && has_tcp) {  // as in make_rdma()
        log_.error("{}; the listeners over TCP serve without it", bound.error().what());
        continue;
      }
      if (!bound) return answer->set_value(std::unexpected(bound.error()));
      listening_.push_back({listener.scheme, *bound});
      records.push_back({.type = is_rdma ? nvmf::TransportType::kRdma : nvmf::TransportType::kTcp,
                         .host = bound->host,
                         .port = bound->port,
                         .is_ipv6 = bound->is_ipv6,
                         .is_wildcard = is_wildcard(*bound),
                         .is_loopback = transport::listens_on_loopback(*bound)});
    }
    target_->set_listeners(std::move(records));  // before the first connection is handed to any reactor
    answer->set_value({});
  });
}

TargetProcess::Traffic TargetProcess::traffic() {
  return platform::ask<Traffic>(target_->home(), [this](platform::Answer<Traffic> answer) {
    Traffic sum;
    for (const auto& subsystem : target_->subsystems()) {
      for (const auto& [nsid, ns] : subsystem->namespaces()) {
        for (const nvmf::NamespaceCounters& counters : ns->all_counters()) {
          sum.reads += counters.reads.value();
          sum.writes += counters.writes.value();
          sum.read_bytes += counters.read_bytes.value();
          sum.written_bytes += counters.written_bytes.value();
          sum.media_errors += counters.media_errors.value();
        }
      }
    }
    answer->set_value(sum);
  });
}

bool TargetProcess::stop() {
  if (!is_running_) return is_clean_;
  is_running_ = false;
  is_clean_ = target_ == nullptr || (stop_target() && give_back_devices());
  for (const auto& room : rooms_) room->reactor.stop();
  for (const auto& room : rooms_) {
    if (room->thread.joinable()) room->thread.join();
  }
  if (target_ != nullptr) {
    for (const auto& shard : target_->shards()) is_clean_ &= !shard->has_io_in_device();
  }
  drain_log();
  return is_clean_;
}

bool TargetProcess::stop_target() {
  auto closed = std::make_unique<std::promise<void>>(), stopped = std::make_unique<std::promise<void>>();
  auto rdma_closed = std::make_unique<std::promise<void>>();
  auto is_closed = closed->get_future(), is_stopped = stopped->get_future(), is_rdma_closed = rdma_closed->get_future();
  if (rdma_ == nullptr) rdma_closed->set_value();
  target_->home().post([this, closed = std::move(closed), stopped = std::move(stopped), rdma_closed = std::move(rdma_closed)]() mutable {
    transport_->stop([closed = std::move(closed)] { closed->set_value(); });
    if (rdma_ != nullptr) rdma_->transport().stop([closed = std::move(rdma_closed)] { closed->set_value(); });
    target_->stop([stopped = std::move(stopped)] { stopped->set_value(); });
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(config_.target.limits.shutdown_ms) + kStopSlack;
  for (auto* each : {&is_stopped, &is_closed, &is_rdma_closed}) {
    if (each->wait_until(deadline) != std::future_status::ready) return false;
  }
  return true;
}

/// Devices that are driven here are shut down, so that what was acknowledged lasts, once no namespace has them open.
bool TargetProcess::give_back_devices() {
  if (!nvme_->has_devices()) return true;
  const auto removed = platform::ask<Result<void>>(target_->home(), [this](platform::Answer<Result<void>> answer) {
    auto missing = std::make_shared<size_t>(target_->subsystems().size() - 1);
    auto last = std::make_shared<Result<void>>();
    auto shared_answer = std::make_shared<platform::Answer<Result<void>>>(std::move(answer));
    std::vector<nvmf::Subsystem*> subsystems;
    for (const auto& subsystem : target_->subsystems()) subsystems.push_back(subsystem.get());
    for (size_t i = 1; i < subsystems.size(); ++i) {  // the first is the discovery subsystem
      target_->remove_subsystem(*subsystems[i], [missing, last, shared_answer](Result<void> result) {
        if (!result) *last = result;
        if (--*missing == 0) (*shared_answer)->set_value(*last);
      });
    }
  });
  return removed.has_value() && nvme_->stop();
}

TargetProcess::~TargetProcess() {
  const bool is_clean = stop();
  WEFT_ASSERT(is_clean);  // else the owner ends the process instead: see stop()
  if (rdma_ != nullptr) rdma_->join();
  // What was posted last is delivered here, on this thread, while everything that it names is still there.
  bool is_idle = false;
  while (!is_idle) {
    is_idle = true;
    for (const auto& room : rooms_) is_idle &= room->reactor.run_once() == Reactor::Turn::kIdle;
  }
  transport_.reset();
  rdma_.reset();
  target_.reset();
  media_.reset();
  nvme_.reset();
}

}  // namespace weft::app
