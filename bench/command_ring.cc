#include "bench/command_ring.h"

#include <cstring>

#include "base/assert.h"

namespace weft::bench {
namespace {

tcp::CapsuleCmd capsule_of(const Workload& workload, const BlockMap& map) {
  const bool writes = workload.direction == Direction::kWrite;
  tcp::CapsuleCmd capsule{};
  capsule.ch = {.type = uint8_t(tcp::PduType::kCapsuleCmd),
                .flags = 0,
                .hlen = sizeof capsule,
                .pdo = writes ? uint8_t{sizeof capsule} : uint8_t{0},
                .plen = uint32_t(workload.request_bytes())};
  capsule.sqe.opcode = uint8_t(writes ? nvme::IoOpcode::kWrite : nvme::IoOpcode::kRead);
  capsule.sqe.flags = uint8_t(nvme::Psdt::kSglContiguousMetadata) << 6;
  capsule.sqe.nsid = map.nsid;
  capsule.sqe.sgl.length = workload.io_bytes;
  capsule.sqe.sgl.type = writes ? nvme::SglDescriptor::kDataBlockOffset : nvme::SglDescriptor::kTransportDataBlock;
  capsule.sqe.cdw12 = workload.io_bytes / map.block_bytes - 1;
  return capsule;
}

}  // namespace

CommandRing::CommandRing(const Workload& workload, const BlockMap& map, size_t depth, uint64_t seed)
    : order_(workload.order),
      request_bytes_(workload.request_bytes()),
      places_(map.block_count / (workload.io_bytes / map.block_bytes)),
      blocks_per_io_(workload.io_bytes / map.block_bytes),
      images_(depth * request_bytes_, std::byte{0x5a}),
      prng_(seed) {
  WEFT_ASSERT(workload.io_bytes % map.block_bytes == 0);
  WEFT_ASSERT(places_ > 0);
  const tcp::CapsuleCmd capsule = capsule_of(workload, map);
  for (size_t i = 0; i < depth; ++i) std::memcpy(images_.data() + i * request_bytes_, &capsule, sizeof capsule);
}

uint64_t CommandRing::next_place() {
  if (order_ == Order::kRandom) return prng_.below(places_);
  const uint64_t place = place_;
  place_ = (place_ + 1) % places_;
  return place;
}

void CommandRing::make(size_t count) {
  pending_bytes_ += count * request_bytes_;
  WEFT_ASSERT(pending_bytes_ <= images_.size());
  for (; count > 0; --count) {
    auto& sqe = *reinterpret_cast<nvme::Sqe*>(images_.data() + next_ + offsetof(tcp::CapsuleCmd, sqe));
    const uint64_t slba = next_place() * blocks_per_io_;
    sqe.cid = cid_++;
    sqe.cdw10 = uint32_t(slba);
    sqe.cdw11 = uint32_t(slba >> 32);
    next_ = (next_ + request_bytes_) % images_.size();
  }
}

std::array<std::span<const std::byte>, 2> CommandRing::pending() const {
  const std::span<const std::byte> all = images_;
  if (pending_bytes_ <= next_) return {all.subspan(next_ - pending_bytes_, pending_bytes_), {}};
  return {all.last(pending_bytes_ - next_), all.first(next_)};
}

void CommandRing::sent(size_t bytes) {
  WEFT_ASSERT(bytes <= pending_bytes_);
  pending_bytes_ -= bytes;
}

}  // namespace weft::bench
