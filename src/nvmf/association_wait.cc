#include "nvmf/association_wait.h"

#include <algorithm>

#include "base/simulation.h"
#include "nvmf/shard.h"
#include "nvmf/target.h"

namespace weft::nvmf {
namespace {

void nothing(Shard&) {}

}  // namespace

void AssociationWait::start(Target& target, Subsystem& subsystem, const HostIdentity& host, Then then) {
  if (!subsystem.registry().knows(host)) return then(Outcome::kClear);
  const auto wait = std::make_shared<AssociationWait>(target, subsystem, host, std::move(then));
  subsystem.registry().add(wait);
  wait->begin();
}

AssociationWait::AssociationWait(Target& target, Subsystem& subsystem, const HostIdentity& host, Then then)
    : target_(target), registry_(subsystem.registry()), subsystem_(subsystem.index()), host_(host), then_(std::move(then)) {}

AssociationWait::~AssociationWait() { WEFT_ASSERT(phase_ == Phase::kOver); }

void AssociationWait::arm() { target_.home().arm(timer_, milliseconds(target_.limits().old_association_ms)); }

void AssociationWait::begin() {
  arm();
  // A reactor takes in its messages before it polls: when it answers for the second time, it has seen which of its connections were gone
  // when this Connect came. What it says to this reactor about them comes before that answer.
  target_.on_every_shard(nothing, [self = shared_from_this()] {
    self->target_.on_every_shard(nothing, [self] { self->caught_up(); });
  });
}

void AssociationWait::caught_up() {
  if (phase_ != Phase::kCatchingUp) return;
  phase_ = Phase::kWaiting;
  look();
}

void AssociationWait::look() {
  if (phase_ != Phase::kWaiting && phase_ != Phase::kGivingUp) return;
  if (registry_.dying_of(host_).empty()) return finish(Outcome::kClear);
  WEFT_PROBE("nvmf/connect-waits-for-old-association");
}

void AssociationWait::is_late() {
  switch (phase_) {
    case Phase::kCatchingUp:
    case Phase::kGivingUp:
      WEFT_PROBE("nvmf/connect-refused-for-old-association");
      return finish(Outcome::kTooLong);
    case Phase::kWaiting:
      WEFT_PROBE("nvmf/association-wait-times-out");
      phase_ = Phase::kGivingUp;
      arm();
      return give_up_on_devices();
    case Phase::kOver: return;
  }
}

void AssociationWait::give_up_on_devices() {
  std::vector<ControllerId> dying;
  for (const uint16_t cntlid : registry_.dying_of(host_)) dying.push_back({subsystem_, cntlid});
  // One answer per shard, written by that shard, read when all have answered.
  const auto given_up = std::make_shared<std::vector<char>>(target_.shards().size());
  target_.on_every_shard([given_up, dying](Shard& shard) { (*given_up)[shard.index()] = char(shard.give_up(dying)); },
                         [self = shared_from_this(), given_up] {
                           if (self->phase_ != Phase::kGivingUp || std::ranges::find(*given_up, 0) != given_up->end()) return;
                           self->finish(Outcome::kClear);
                         });
}

void AssociationWait::finish(Outcome outcome) {
  if (phase_ == Phase::kOver) return;
  phase_ = Phase::kOver;
  target_.home().disarm(timer_);
  const auto self = shared_from_this();  // the registry lets go of it
  registry_.forget(*this);
  std::exchange(then_, {})(outcome);
}

}  // namespace weft::nvmf
