// The controllers of one subsystem, on the target's home reactor: hands out CNTLIDs, finds the controller an I/O queue names, and keeps the
// Connects that wait for an old association of their host.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"

namespace weft::nvmf {

class AssociationWait;
class Controller;

struct HostIdentity {
  std::string nqn;
  std::array<std::byte, 16> id{};
  friend bool operator==(const HostIdentity&, const HostIdentity&) = default;
};

class Registry {
 public:
  explicit Registry(uint32_t controllers_max) : controllers_max_(controllers_max) {}

  struct Association {
    Controller* controller;
    HostIdentity host;
    bool is_loopback = false;  // the admin queue came over a loopback listener
    bool is_dying = false;
  };
  /// A CNTLID that was not used since the range has wrapped. Errors: kLimit.
  Result<uint16_t> add(Association association);
  /// The association ends: its controller is found no more, but its host's next association waits for remove(). Idempotent.
  void mark_dying(uint16_t cntlid);
  void remove(uint16_t cntlid);
  /// The live controller of that id, or null.
  Controller* find(uint16_t cntlid) const;
  size_t size() const { return associations_.size(); }
  /// The CNTLIDs of the live controllers, ascending.
  std::vector<uint16_t> cntlids() const;
  template <typename F>
  void for_each(F&& f) {
    for (auto& [cntlid, association] : associations_) {
      if (!association.is_dying) f(*association.controller);
    }
  }
  /// Those that are dying, too.
  template <typename F>
  void for_each_association(F&& f) const {
    for (const auto& [cntlid, association] : associations_) f(cntlid, association);
  }
  /// Runs `then` when remove() was called for each of `cntlids`: now, when there are none, or later.
  void after_gone(std::vector<uint16_t> cntlids, std::move_only_function<void()> then);

  /// Whether `host` has an association, live or dying.
  bool knows(const HostIdentity& host) const;
  /// The CNTLIDs of the host's dying associations.
  std::vector<uint16_t> dying_of(const HostIdentity& host) const;
  /// Keeps a wait, which is told of every remove(), until forget().
  void add(std::shared_ptr<AssociationWait> wait) { waits_.push_back(std::move(wait)); }
  void forget(AssociationWait& wait);
  /// Ends every wait.
  void give_up_all();

 private:
  struct Departure {
    std::vector<uint16_t> missing;
    std::move_only_function<void()> then;
  };
  void note_departure(uint16_t cntlid);

  uint32_t controllers_max_;
  uint16_t next_cntlid_ = 1;
  std::map<uint16_t, Association> associations_;
  std::vector<std::shared_ptr<AssociationWait>> waits_;
  std::vector<Departure> departures_;
};

}  // namespace weft::nvmf
