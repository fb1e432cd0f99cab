#include "sim/faults.h"

namespace weft::sim {
namespace {

constexpr NetworkOptions kCalmNetwork{};

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
  if (!plan_.kinds.empty()) plan_next();
}

void Faults::plan_next() {
  later(nanoseconds(int64_t(random_.below(uint64_t(plan_.pause.ns) * 2))), [this] {
    ++count_;
    inject(plan_.kinds[random_.below(plan_.kinds.size())]);
    plan_next();
  });
}

Duration Faults::draw_length() { return milliseconds(int64_t(1 + random_.below(random_.one_in(4) ? 4000 : 100))); }

void Faults::inject(FaultKind kind) {
  switch (kind) {
    case FaultKind::kCut:
      setting_.network.cut(random_.one_in(2) ? Ending::kFinish : Ending::kReset,
                           random_.below(random_.one_in(2) ? 200 : 20'000));
      return;
    case FaultKind::kHold:
      return hold_a_link();
    case FaultKind::kStorm: {
      const net::Address address = Network::address_of(any_target().machine(), TargetMachine::kPort);
      return stage_.stranger.storm(address, 1 + random_.below(60), draw_length());
    }
    case FaultKind::kHostStall: {
      HostMachine& host = any_host();
      if (host.process() != nullptr) host.process()->stall(draw_length());
      return;
    }
    case FaultKind::kTargetStall: {
      TargetMachine& target = any_target();
      // Not as long as what expects an answer of the target within seconds.
      if (target.process() != nullptr)
        target.process()->stall(random_.below(target.process()->reactor_count()),
                                milliseconds(int64_t(random_.below(300))));
      return;
    }
    case FaultKind::kHostCrash:
      return any_host().crash();
    case FaultKind::kTargetCrash:
      return any_target().crash();
    case FaultKind::kPowerCut: {
      TargetMachine& target = any_target();
      target.cut_power();
      return later(draw_length(), [&target] { target.restore_power(); });
    }
    case FaultKind::kDiskHang:
    case FaultKind::kDiskRemoval:
    case FaultKind::kDiskErrors:
    case FaultKind::kDiskLoss:
      return fail_a_disk(kind);
    case FaultKind::kNamespaceChange:
      return change_a_namespace();
    case FaultKind::kAccessChange:
    case FaultKind::kListenerChange:
    case FaultKind::kSubsystemChange:
      return;
    case FaultKind::kClockJump: {
      TargetMachine& target = any_target();
      if (target.process() != nullptr) target.process()->jump_wall_clock(int64_t(random_.below(7'200'000)) - 3'600'000);
      return;
    }
  }
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

void Faults::fail_a_disk(FaultKind kind) {
  const auto disks = any_target().disks();
  if (disks.empty()) return;
  Disk& disk = *disks[random_.below(disks.size())];
  DiskOptions options;
  switch (kind) {
    case FaultKind::kDiskHang:
      disk.hang();
      break;
    case FaultKind::kDiskRemoval:
      disk.remove();
      break;
    case FaultKind::kDiskErrors:
      options.error_one_in = 1 + random_.below(20);
      if (random_.one_in(3)) options.sync_error_one_in = 1 + random_.below(10);
      break;
    default:
      options.lost_one_in = 1 + random_.below(50);
      options.outlier_one_in = 1 + random_.below(50);
  }
  options.short_one_in = random_.one_in(2) ? 1 + random_.below(8) : 0;
  disk.set_options(options);
  later(draw_length(), [&disk] { disk.heal(); });
}

void Faults::change_a_namespace() {
  TargetMachine& target = any_target();
  if (!target.is_serving()) return;
  const size_t subsystem = random_.below(target.plan().subsystems.size());
  const size_t index = random_.below(target.plan().subsystems[subsystem].namespaces.size());
  if (target.has_namespace(subsystem, index)) {
    target.remove_namespace(subsystem, index);
    later(draw_length(), [&target, subsystem, index] { target.add_namespace(subsystem, index); });
  } else {
    target.add_namespace(subsystem, index);
  }
}

void Faults::heal() {
  is_over_ = true;
  stage_.stranger.leave();
  setting_.network.set_options(kCalmNetwork);
  setting_.network.release_all();
  for (const auto& target : stage_.targets) {
    target->restore_power();
    for (Disk* disk : target->disks()) disk->heal();
    target->want_every_namespace();
  }
}

}  // namespace weft::sim
