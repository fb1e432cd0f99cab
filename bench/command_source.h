// The commands of one connection, one after the other, as they lie on the wire. Both kinds of server get the same ones, so the client does the same
// work for each.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/prng.h"
#include "bench/workload.h"

namespace weft::bench {

/// What every write of a workload writes: | data io_bytes | ddgst? 4 |.
std::vector<std::byte> payload_of(const Workload& workload);

class CommandSource {
 public:
  /// Requires: io_bytes is a multiple of the block size, block_count holds at least one I/O, there is a namespace.
  CommandSource(const Workload& workload, const BlockMap& map, uint64_t seed);

  struct Command {
    std::span<const std::byte> header;  // | capsule 72 | hdgst? 4 |; valid until the next call
    bool has_payload = false;           // payload_of() belongs into its capsule
  };
  Command next(uint16_t cid);

 private:
  nvme::Sqe& sqe() { return reinterpret_cast<tcp::CapsuleCmd*>(image_.data())->sqe; }
  void turn(Direction direction);
  uint64_t next_place();

  const Workload workload_;
  const BlockMap map_;
  const uint64_t places_;  // I/Os that fit into the used blocks
  const uint32_t blocks_per_io_;
  alignas(8) std::array<std::byte, sizeof(tcp::CapsuleCmd) + tcp::kDigestSize> image_{};
  Direction now_;          // of the image
  uint64_t sequence_ = 0;  // of the next command, where they come in order
  size_t nsid_next_ = 0;
  Prng prng_;
};

}  // namespace weft::bench
