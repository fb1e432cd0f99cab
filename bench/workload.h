// What is measured: commands of one direction and size, and how many bytes each is on the wire without digests.
#pragma once
#include <cstddef>
#include <cstdint>

#include "wire/tcp/pdu.h"

namespace weft::bench {

enum class Direction : uint8_t { kRead, kWrite };
enum class Order : uint8_t { kRandom, kSequential };

struct Workload {
  Direction direction = Direction::kRead;
  Order order = Order::kRandom;
  uint32_t io_bytes = 4096;             // payload of one command
  uint64_t capacity_bytes = 256 << 20;  // the I/Os are spread over so much

  /// | capsule 72 | payload, when it writes |
  size_t request_bytes() const { return sizeof(tcp::CapsuleCmd) + (direction == Direction::kWrite ? io_bytes : 0); }
  /// | C2HData 24 with SUCCESS | payload |, or a response capsule of 24 bytes
  size_t response_bytes() const { return direction == Direction::kRead ? sizeof(tcp::DataPdu) + io_bytes : sizeof(tcp::CapsuleResp); }
};

}  // namespace weft::bench
