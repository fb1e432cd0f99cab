// What an admin Connect waits for before a new association begins: that no older association of its host to the subsystem can still hand a
// command to a device, where it would act on newer data. On the target's home reactor; kept by the subsystem's Registry until it is over.
// docs/adr/0013-after-the-old-association.md.
#pragma once
#include <functional>
#include <memory>

#include "core/timer.h"
#include "nvmf/registry.h"

namespace weft::nvmf {

class Subsystem;
class Target;

class AssociationWait final : public std::enable_shared_from_this<AssociationWait> {
 public:
  enum class Outcome : uint8_t {
    kClear,   // what is left of old associations, if anything, is with devices: late writes, which namespaces know of
    kTooLong,  // a reactor that carries an old association has not looked at its connections: the host may try again
  };
  using Then = std::move_only_function<void(Outcome)>;

  /// Calls `then` once: now, when the host has no other association, or within twice limits.old_association_ms.
  static void start(Target& target, Subsystem& subsystem, const HostIdentity& host, Then then);

  AssociationWait(Target& target, Subsystem& subsystem, const HostIdentity& host, Then then);
  ~AssociationWait();
  /// An association of the subsystem has gone.
  void look();
  /// Nothing is to be waited for any more: kClear.
  void give_up() { finish(Outcome::kClear); }

 private:
  enum class Phase : uint8_t {
    kCatchingUp,  // every reactor looks once at what its connections have: it may not know yet that one is gone
    kWaiting,     // for dying associations to come home
    kGivingUp,    // what they still have in devices is late from now on, unless one has a connection
    kOver,
  };
  void begin();
  void caught_up();
  void is_late();
  void give_up_on_devices();
  void arm();
  void finish(Outcome outcome);

  Target& target_;
  Registry& registry_;
  const uint32_t subsystem_;  // index
  const HostIdentity host_;
  Phase phase_ = Phase::kCatchingUp;
  Then then_;
  Timer timer_ = Timer::calling<&AssociationWait::is_late>(this);
};

}  // namespace weft::nvmf
