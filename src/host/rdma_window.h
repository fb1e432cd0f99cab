// A memory window of type 2, by which one command's data is reached and nothing else: bound under a new key before the capsule goes out, invalid again
// before the command ends, by the target's response or by this side. One for each command that a queue may have outstanding; lives as its queue pair.
#pragma once
#include <infiniband/verbs.h>

#include <cstddef>
#include <span>

#include "base/assert.h"

namespace weft::host {

class RdmaWindow {
 public:
  RdmaWindow() = default;
  /// Outlives: `window` outlives this one's use. Requires: it was never bound.
  explicit RdmaWindow(ibv_mw& window) : window_(&window), key_(window.rkey) {}

  bool exists() const { return window_ != nullptr; }
  bool is_bound() const { return is_bound_; }
  /// What the target names. Requires: is_bound().
  uint32_t key() const { return key_; }

  /// Makes `request` bind it to `data`, a part of `region`; it counts as bound. Requires: exists() and !is_bound().
  void bind(ibv_send_wr& request, ibv_mr& region, std::span<const std::byte> data, unsigned access) {
    WEFT_ASSERT(exists() && !is_bound_);
    window_->rkey = key_;
    key_ = ibv_inc_rkey(key_);
    is_bound_ = true;
    request = {};  // devices refuse what is left of an invalidation
    request.opcode = IBV_WR_BIND_MW;
    request.bind_mw = {.mw = window_, .rkey = key_, .bind_info = {.mr = &region, .addr = reinterpret_cast<uintptr_t>(data.data()), .length = data.size(), .mw_access_flags = access}};
  }
  /// Makes `request` invalidate it. It is bound until invalidated(). Requires: is_bound().
  void invalidate(ibv_send_wr& request) const {
    WEFT_ASSERT(is_bound_);
    request = {};
    request.opcode = IBV_WR_LOCAL_INV;
    request.invalidate_rkey = key_;
  }
  /// Nobody reaches the data any more.
  void invalidated() { is_bound_ = false; }

 private:
  ibv_mw* window_ = nullptr;
  uint32_t key_ = 0;
  bool is_bound_ = false;
};

}  // namespace weft::host
