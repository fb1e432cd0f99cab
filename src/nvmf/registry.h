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

  /// A CNTLID that was not used since the range has wrapped. Errors: kLimit.
  Result<uint16_t> add(Controller& controller, const HostIdentity& host);
  /// The controller is being torn down: found no more, but its host's next association waits for remove().
  void mark_dying(uint16_t cntlid);
  void remove(uint16_t cntlid);
  /// The live controller of that id, or null.
  Controller* find(uint16_t cntlid) const;
  size_t size() const { return entries_.size(); }
  /// The CNTLIDs of the live controllers, ascending.
  std::vector<uint16_t> cntlids() const;
  template <typename F>
  void for_each(F&& f) {
    for (auto& [cntlid, entry] : entries_) {
      if (!entry.is_dying) f(*entry.controller);
    }
  }

  /// Runs `then` when no controller of `host` is dying: now, or when remove() of the last one is called. `key` names it for give_up().
  void after_dying(const HostIdentity& host, const void* key, std::move_only_function<void()> then);
  /// Runs what waits under `key` at once: its time is up.
  void give_up(const void* key);

 private:
  struct Entry {
    Controller* controller;
    HostIdentity host;
    bool is_dying = false;
  };
  struct Waiter {
    HostIdentity host;
    const void* key;
    std::move_only_function<void()> then;
  };
  bool has_dying(const HostIdentity& host) const;
  void run_ready();

  uint32_t controllers_max_;
  uint16_t next_cntlid_ = 1;
  std::map<uint16_t, Entry> entries_;
  std::vector<Waiter> waiters_;
};

}  // namespace weft::nvmf
