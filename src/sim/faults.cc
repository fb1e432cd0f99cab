#include "sim/faults.h"

#include <algorithm>

namespace weft::sim {
namespace {

constexpr NetworkOptions kCalmNetwork{};
// Longer than every time-out, and than a host's new association waits for a reactor.
constexpr uint64_t kTargetStallMaxMs = 8000;
constexpr uint64_t kShortTargetStallMaxMs = 1500;
// With the delay filter a command is not with its device yet while its reactor is stalled, but its time runs.
constexpr uint64_t kDelayedTargetStallMaxMs = 150;

bool has_delay(const TargetPlan& target) {
  return std::ranges::any_of(target.subsystems, [](const SubsystemPlan& subsystem) {
    return std::ranges::any_of(subsystem.namespaces, [](const NamespacePlan& ns) {
      return ns.medium == MediumKind::kDelayedRam || ns.medium == MediumKind::kDelayedDisk;
    });
  });
}

}  // namespace

Faults::Faults(const Setting& setting, const Stage& stage, const FaultPlan& plan, uint64_t seed)
    : setting_(setting), stage_(stage), plan_(plan), random_(seed) {}

template <typename F>
void Faults::later(Duration delay, F action) {
  setting_.agenda.after(delay, [this, action = std::move(action)] {
    if (!is_over_) action();
  });
}

void Faults::start() {
  setting_.network.set_options(plan_.network);
  setting_.rdma.set_options({.request_lost_one_in = 40, .drain_silent_one_in = 20});
  if (!plan_.kinds.empty()) plan_next();
}

void Faults::plan_next() {
  later(nanoseconds(int64_t(random_.below(uint64_t(plan_.pause.ns) * 2))), [this] {
    ++count_;
    inject(plan_.kinds[random_.below(plan_.kinds.size())]);
    plan_next();
  });
}

Duration Faults::draw_length() {
  return milliseconds(int64_t(1 + random_.below(random_.one_in(16) ? 8000 : random_.one_in(4) ? 4000 : 100)));
}

void Faults::inject(FaultKind kind) {
  switch (kind) {
    case FaultKind::kCut:
      if (random_.one_in(3)) return setting_.network.ambush(random_.one_in(2) ? Ending::kFinish : Ending::kReset);
      setting_.network.cut(random_.one_in(2) ? Ending::kFinish : Ending::kReset,
                           random_.below(random_.one_in(2) ? 200 : 20'000));
      setting_.rdma.cut();
      return;
    case FaultKind::kHold:
      return hold_a_link();
    case FaultKind::kFade:
      return any_host().fade();
    case FaultKind::kStorm: {
      const net::Address address = Network::address_of(any_target().machine(), TargetMachine::kPort);
      return stage_.stranger.storm(address, 1 + random_.below(60), draw_length());
    }
    case FaultKind::kHostStall: {
      HostMachine& host = any_host();
      if (host.process() != nullptr) host.process()->stall(draw_length());
      return;
    }
    case FaultKind::kTargetStall: return stall_a_target();
    case FaultKind::kHostCrash:
      return any_host().crash();
    case FaultKind::kTargetCrash:
      return any_target().crash();
    case FaultKind::kPowerCut: {
      TargetMachine& target = any_target();
      target.cut_power();
      return later(draw_length(), [&target] { target.restore_power(); });
    }
    case FaultKind::kDiskHangUnheard:
      return hang_unheard();
    case FaultKind::kDiskHang:
    case FaultKind::kDiskRemoval:
    case FaultKind::kDiskErrors:
    case FaultKind::kDiskLoss: {
      // Mended also when the faults are over by then: it is the machine's own to have the namespace opened anew.
      if (auto heal = any_target().fail_a_disk(kind)) setting_.agenda.after(draw_length(), std::move(heal));
      return;
    }
    case FaultKind::kNamespaceChange:
      return change_a_namespace();
    case FaultKind::kAccessChange:
      return forbid_a_host();
    case FaultKind::kListenerChange: {
      TargetMachine& target = any_target();
      target.unlisten();
      return later(draw_length(), [&target] { target.listen(); });
    }
    case FaultKind::kSubsystemChange: {
      TargetMachine& target = any_target();
      const size_t subsystem = random_.below(target.plan().subsystems.size());
      target.remove_subsystem(subsystem);
      return later(draw_length(), [&target, subsystem] { target.add_subsystem(subsystem); });
    }
    case FaultKind::kRdmaRemoval:
      return remove_a_device();
    case FaultKind::kRdmaPortDown: {
      const size_t machine = any_machine();
      setting_.rdma.take_port_down(machine);
      return later(draw_length(), [this, machine] { setting_.rdma.take_port_up(machine); });
    }
    case FaultKind::kRdmaAddress:
      return setting_.rdma.change_address(any_machine());
    case FaultKind::kClockJump: {
      TargetMachine& target = any_target();
      if (target.process() != nullptr) target.process()->jump_wall_clock(int64_t(random_.below(7'200'000)) - 3'600'000);
      return;
    }
  }
}

void Faults::remove_a_device() {
  if (random_.one_in(2)) {
    const size_t machine = any_target().machine();
    setting_.rdma.remove_device(machine);
    return later(draw_length(), [this, machine] { setting_.rdma.restore_device(machine); });
  }
  const size_t host = random_.below(stage_.hosts.size());
  setting_.rdma.remove_device(stage_.hosts[host]->machine());
  hosts_without_device_.insert(host);
  later(draw_length(), [this, host] { give_a_device(host); });
}

/// A host does not look for another device by itself: its process is started again when there is one.
void Faults::give_a_device(size_t host) {
  if (hosts_without_device_.erase(host) == 0) return;
  setting_.rdma.restore_device(stage_.hosts[host]->machine());
  stage_.hosts[host]->crash();
}

void Faults::stall_a_target() {
  TargetMachine& target = any_target();
  if (target.process() == nullptr) return;
  const uint64_t max_ms = has_delay(target.plan()) ? kDelayedTargetStallMaxMs : random_.one_in(8) ? kTargetStallMaxMs : kShortTargetStallMaxMs;
  const Duration length = milliseconds(int64_t(random_.below(max_ms)));
  target.process()->stall(random_.below(target.process()->reactor_count()), length);
  stage_.checkers.on_stall(target.machine(), setting_.agenda.now() + length);
}

/// The answers of commands that time out do not leave. What ends first is drawn: the hang, the deafness, or the connection for it.
void Faults::hang_unheard() {
  TargetMachine& target = any_target();
  auto heal = target.fail_a_disk(FaultKind::kDiskHang);
  if (!heal) return;
  const Limits& limits = target.plan().limits;
  const Duration both = milliseconds(int64_t{limits.io_timeout_ms} + limits.stalled_send_ms);
  const auto draw = [&] { return both * int64_t(3 + random_.below(10)) / 10; };
  setting_.agenda.after(draw(), std::move(heal));
  const size_t from = target.machine(), to = any_host().machine();
  setting_.network.block(from, to);
  const Duration length = draw();
  stage_.checkers.on_stall(from, setting_.agenda.now() + length);  // what it completes is not seen to hold keep-alive off
  later(length, [this, from, to] { setting_.network.unblock(from, to); });
}

void Faults::hold_a_link() {
  size_t from = any_host().machine(), to = any_target().machine();
  if (random_.one_in(2)) std::swap(from, to);
  const bool is_both_ways = random_.one_in(2);
  setting_.network.hold(from, to);
  if (is_both_ways) setting_.network.hold(to, from);
  later(draw_length(), [this, from, to, is_both_ways] {
    setting_.network.release(from, to);
    if (is_both_ways) setting_.network.release(to, from);
  });
}

void Faults::change_a_namespace() {
  TargetMachine& target = any_target();
  if (!target.is_serving()) return;
  const size_t subsystem = random_.below(target.plan().subsystems.size());
  const size_t index = random_.below(target.plan().subsystems[subsystem].namespaces.size());
  if (target.has_namespace(subsystem, index) && random_.one_in(2)) {
    const uint64_t blocks = target.plan().subsystems[subsystem].namespaces[index].blocks;
    target.resize_namespace(subsystem, index, random_.one_in(4) ? 1 : 1 + random_.below(blocks));
  } else if (target.has_namespace(subsystem, index)) {
    target.remove_namespace(subsystem, index);
    later(draw_length(), [&target, subsystem, index] { target.add_namespace(subsystem, index); });
  } else {
    target.add_namespace(subsystem, index);
  }
}

void Faults::forbid_a_host() {
  TargetMachine& target = any_target();
  const size_t subsystem = random_.below(target.plan().subsystems.size());
  const std::string host = HostMachine::identity_of(any_host().machine()).nqn;
  target.set_admission(subsystem, host, false);
  later(draw_length(), [&target, subsystem, host] { target.set_admission(subsystem, host, true); });
}

void Faults::heal() {
  is_over_ = true;
  stage_.stranger.leave();
  setting_.network.set_options(kCalmNetwork);
  setting_.network.release_all();
  setting_.rdma.set_options({});
  for (const size_t host : std::set(hosts_without_device_)) give_a_device(host);
  setting_.rdma.restore_all();
  for (const auto& target : stage_.targets) target->heal();
}

}  // namespace weft::sim
