// When the outstanding commands of a connection were sent. CommandsInOrder assumes that the n-th answer belongs to the n-th command, which is exact
// for a server that answers in order and an estimate otherwise; it costs one entry for each send. CommandsByCid knows, where answers' CIDs are read.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"

namespace weft::bench {

using Instant = std::chrono::steady_clock::time_point;

class CommandsInOrder {
 public:
  explicit CommandsInOrder(size_t depth) : batches_(depth) {}

  /// Requires: count > 0, and no more than `depth` commands are outstanding with them.
  void sent(Instant at, uint32_t count) {
    WEFT_ASSERT(count > 0 && used_ < batches_.size());
    batches_[(first_ + used_++) % batches_.size()] = {at, count};
  }

  /// Takes the oldest `count` commands off and calls `take(sent_at, commands)` for each send that some of them were in.
  template <typename Take>
  void answered(uint32_t count, Take take) {
    while (count > 0) {
      WEFT_ASSERT(used_ > 0);
      Batch& batch = batches_[first_];
      const uint32_t part = count < batch.count ? count : batch.count;
      take(batch.at, part);
      count -= part;
      batch.count -= part;
      if (batch.count > 0) continue;
      first_ = (first_ + 1) % batches_.size();
      --used_;
    }
  }

 private:
  struct Batch {
    Instant at;
    uint32_t count = 0;
  };
  std::vector<Batch> batches_;
  size_t first_ = 0;
  size_t used_ = 0;
};

class CommandsByCid {
 public:
  explicit CommandsByCid(size_t depth) : sent_at_(depth), is_outstanding_(depth, false) {
    for (size_t cid = depth; cid > 0; --cid) free_.push_back(uint16_t(cid - 1));
  }

  /// The CID for a command that is sent now. Requires: fewer than `depth` are outstanding.
  uint16_t sent(Instant at) {
    WEFT_ASSERT(!free_.empty());
    const uint16_t cid = free_.back();
    free_.pop_back();
    sent_at_[cid] = at;
    is_outstanding_[cid] = true;
    return cid;
  }
  bool is_outstanding(uint16_t cid) const { return cid < is_outstanding_.size() && is_outstanding_[cid]; }
  /// When it was sent; its CID is free again. Requires: is_outstanding(cid).
  Instant answered(uint16_t cid) {
    WEFT_ASSERT(is_outstanding(cid));
    is_outstanding_[cid] = false;
    free_.push_back(cid);
    return sent_at_[cid];
  }

 private:
  std::vector<Instant> sent_at_;
  std::vector<bool> is_outstanding_;
  std::vector<uint16_t> free_;
};

}  // namespace weft::bench
