// The commands of one connection, ready to be sent: a ring of request images as deep as the queue. Both kinds of server get the same images,
// so the client does the same work for each. Commands may complete in any order unseen, so CIDs run freely over all 16 bits.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/prng.h"
#include "bench/workload.h"

namespace weft::bench {

/// Where blocks of the workload lie in the namespace.
struct BlockMap {
  uint32_t nsid = 1;
  uint32_t block_bytes = 4096;  // of the namespace
  uint64_t block_count = 0;     // that are used
};

class CommandRing {
 public:
  /// Requires: io_bytes is a multiple of the block size, block_count holds at least one I/O.
  CommandRing(const Workload& workload, const BlockMap& map, size_t depth, uint64_t seed);

  /// Makes the next `count` commands of the workload. Requires: with them, at most `depth` commands are not sent whole.
  void make(size_t count);
  /// What is to be sent, in order, in one or two parts. Valid until the next make().
  std::array<std::span<const std::byte>, 2> pending() const;
  bool has_pending() const { return pending_bytes_ > 0; }
  /// The first `bytes` of pending() have been sent.
  void sent(size_t bytes);

 private:
  uint64_t next_place();

  const Order order_;
  const size_t request_bytes_;
  const uint64_t places_;  // I/Os that fit into the used blocks
  const uint32_t blocks_per_io_;
  std::vector<std::byte> images_;
  size_t next_ = 0;           // byte offset of the next image
  size_t pending_bytes_ = 0;  // before next_, around the end
  uint16_t cid_ = 0;
  uint64_t place_ = 0;  // of the next sequential command
  Prng prng_;
};

}  // namespace weft::bench
