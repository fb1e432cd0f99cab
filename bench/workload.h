// What is measured: commands of one direction, or of both, and of one size, and how many bytes each is on the wire.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "wire/tcp/pdu.h"

namespace weft::bench {

enum class Direction : uint8_t { kRead, kWrite, kMixed };
enum class Order : uint8_t { kRandom, kSequential };

/// Which digests a connection has. Negotiated by NvmeSession; the raw ceiling has none.
struct Digests {
  bool header = false;
  bool data = false;

  size_t header_bytes() const { return header ? tcp::kDigestSize : 0; }
  size_t data_bytes() const { return data ? tcp::kDigestSize : 0; }
};

struct Workload {
  Direction direction = Direction::kRead;
  Order order = Order::kRandom;
  uint32_t io_bytes = 4096;             // payload of one command
  uint64_t capacity_bytes = 256 << 20;  // the I/Os are spread over so much of each namespace
  uint32_t read_percent = 70;           // of kMixed
  uint32_t in_capsule_bytes_max = 8192; // what is longer is written by R2T
  Digests digests;

  bool has_writes() const { return direction != Direction::kRead; }
  bool has_reads() const { return direction != Direction::kWrite; }
  bool writes_by_r2t() const { return has_writes() && io_bytes > in_capsule_bytes_max; }
  /// Answers differ, so their headers have to be read. Otherwise all are alike, and counting their bytes is enough.
  bool is_framed() const { return direction == Direction::kMixed || writes_by_r2t(); }

  /// | capsule 72 | hdgst? |
  size_t capsule_bytes() const { return sizeof(tcp::CapsuleCmd) + digests.header_bytes(); }
  /// What every request is, with its payload when it writes. Requires: !is_framed().
  size_t request_bytes() const { return capsule_bytes() + (has_writes() ? io_bytes + digests.data_bytes() : 0); }
  /// | C2HData 24 with SUCCESS | payload |, or a response capsule of 24 bytes. Of the raw ceiling. Requires: !is_framed().
  size_t response_bytes() const { return has_writes() ? sizeof(tcp::CapsuleResp) : sizeof(tcp::DataPdu) + io_bytes; }
};

/// Where blocks of the workload lie.
struct BlockMap {
  std::vector<uint32_t> nsids{1};  // commands go to them in turn
  uint32_t block_bytes = 4096;     // of each namespace
  uint64_t block_count = 0;        // of each that are used
};

}  // namespace weft::bench
