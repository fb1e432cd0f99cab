// The controllers of one subsystem, on the target's home reactor: hands out CNTLIDs, finds the controller an I/O queue names, and makes a new
// association of a host wait for its old one's writes.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"

namespace weft::nvmf {

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
  /// The controller is being torn down: found no more, but its host's next association waits for remove().
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

  /// Runs `then` when no controller of `host` is dying: now, or when remove() of the last one is called. `key` names it for give_up().
  void after_dying(const HostIdentity& host, const void* key, std::move_only_function<void()> then);
  /// Runs what waits under `key` at once: its time is up.
  void give_up(const void* key);
  /// Runs everything that waits in after_dying() at once.
  void give_up_all();

 private:
  struct Waiter {
    HostIdentity host;
    const void* key;
    std::move_only_function<void()> then;
  };
  struct Departure {
    std::vector<uint16_t> missing;
    std::move_only_function<void()> then;
  };
  bool has_dying(const HostIdentity& host) const;
  void run_ready();
  void note_departure(uint16_t cntlid);

  uint32_t controllers_max_;
  uint16_t next_cntlid_ = 1;
  std::map<uint16_t, Association> associations_;
  std::vector<Waiter> waiters_;
  std::vector<Departure> departures_;
};

}  // namespace weft::nvmf
