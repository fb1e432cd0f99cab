// Who the buffers of one shard are charged to: an account for each controller that has queues here, and one for all connections that have not
// connected to a controller yet, so that a crowd of strangers is one party among the others (docs/adr/0010-accounts-for-buffers.md).
#pragma once
#include <compare>
#include <cstdint>
#include <map>

#include "core/buffer_pool.h"

namespace weft::nvmf {

/// Names a controller of the target on every shard, also after it is gone.
struct ControllerId {
  uint32_t subsystem = 0;  // index
  uint16_t cntlid = 0;
  friend auto operator<=>(const ControllerId&, const ControllerId&) = default;
};

class Accounts {
 public:
  /// Outlives: `pool` outlives the accounts.
  explicit Accounts(BufferPool& pool) : pool_(pool), strangers_(pool.open_account()) {}
  /// Requires: every queue has left.
  ~Accounts();

  BufferAccount& strangers() { return strangers_; }
  /// The controller has one more queue here; returns its account.
  BufferAccount& join(ControllerId controller);
  /// It has one less. What devices still hold for it stays charged until it comes back.
  void leave(ControllerId controller);

 private:
  struct Presence {
    BufferAccount* account = nullptr;
    uint32_t queues = 0;
  };
  BufferPool& pool_;
  BufferAccount& strangers_;
  std::map<ControllerId, Presence> presences_;
};

}  // namespace weft::nvmf
