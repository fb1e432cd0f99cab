#include "bench/command_source.h"

#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"

namespace weft::bench {

std::vector<std::byte> payload_of(const Workload& workload) {
  std::vector<std::byte> payload(workload.io_bytes, std::byte{0x5a});
  if (workload.digests.data) {
    const le32 digest = crc32c(payload);
    payload.insert(payload.end(), std::begin(digest.raw), std::end(digest.raw));
  }
  return payload;
}

CommandSource::CommandSource(const Workload& workload, const BlockMap& map, uint64_t seed)
    : workload_(workload),
      map_(map),
      places_(map.block_count / (workload.io_bytes / map.block_bytes)),
      blocks_per_io_(workload.io_bytes / map.block_bytes),
      now_(workload.has_writes() ? Direction::kWrite : Direction::kRead),
      nsid_next_(size_t(seed) % map.nsids.size()),
      prng_(seed) {
  WEFT_ASSERT(workload.io_bytes % map.block_bytes == 0);
  WEFT_ASSERT(places_ > 0);
  sqe().flags = uint8_t(nvme::Psdt::kSglContiguousMetadata) << 6;
  sqe().cdw12 = blocks_per_io_ - 1;
  turn(now_);
}

/// Makes the image one of a read or of a write.
void CommandSource::turn(Direction direction) {
  now_ = direction;
  const bool in_capsule = direction == Direction::kWrite && !workload_.writes_by_r2t();
  auto& header = reinterpret_cast<tcp::CapsuleCmd*>(image_.data())->ch;
  const uint8_t digests = uint8_t((workload_.digests.header ? tcp::kFlagHdgst : 0) | (workload_.digests.data && in_capsule ? tcp::kFlagDdgst : 0));
  header = {.type = uint8_t(tcp::PduType::kCapsuleCmd),
            .flags = digests,
            .hlen = sizeof(tcp::CapsuleCmd),
            .pdo = in_capsule ? uint8_t(workload_.capsule_bytes()) : uint8_t{0},
            .plen = uint32_t(workload_.capsule_bytes() + (in_capsule ? workload_.io_bytes + workload_.digests.data_bytes() : 0))};
  sqe().opcode = uint8_t(direction == Direction::kWrite ? nvme::IoOpcode::kWrite : nvme::IoOpcode::kRead);
  sqe().sgl.length = workload_.io_bytes;
  sqe().sgl.type = in_capsule ? nvme::SglDescriptor::kDataBlockOffset : nvme::SglDescriptor::kTransportDataBlock;
}

CommandSource::Command CommandSource::next(uint16_t cid) {
  if (workload_.direction == Direction::kMixed) {
    const Direction direction = prng_.below(100) < workload_.read_percent ? Direction::kRead : Direction::kWrite;
    if (direction != now_) turn(direction);
  }
  const uint64_t slba = next_place() * blocks_per_io_;
  sqe().cid = cid;
  sqe().nsid = map_.nsids[nsid_next_];
  if (++nsid_next_ == map_.nsids.size()) nsid_next_ = 0;
  sqe().cdw10 = uint32_t(slba);
  sqe().cdw11 = uint32_t(slba >> 32);
  if (workload_.digests.header) {
    const le32 digest = crc32c(std::span(image_).first(sizeof(tcp::CapsuleCmd)));
    std::memcpy(image_.data() + sizeof(tcp::CapsuleCmd), digest.raw, sizeof digest);
  }
  return {.header = std::span(image_).first(workload_.capsule_bytes()), .has_payload = now_ == Direction::kWrite && !workload_.writes_by_r2t()};
}

/// In order: a place comes in each namespace before the next one does.
uint64_t CommandSource::next_place() {
  if (workload_.order == Order::kRandom) return prng_.below(places_);
  return sequence_++ / map_.nsids.size() % places_;
}

}  // namespace weft::bench
