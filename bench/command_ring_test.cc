#include "bench/command_ring.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/bytes.h"

namespace weft::bench {
namespace {

constexpr BlockMap kMap{.nsid = 7, .block_bytes = 512, .block_count = 64};

/// The pending bytes in one piece.
std::vector<std::byte> joined(const CommandRing& ring) {
  std::vector<std::byte> bytes;
  for (const auto part : ring.pending()) bytes.insert(bytes.end(), part.begin(), part.end());
  return bytes;
}

tcp::CapsuleCmd capsule_at(const std::vector<std::byte>& bytes, size_t offset) {
  const auto* capsule = view<tcp::CapsuleCmd>(std::span(bytes).subspan(offset));
  return capsule == nullptr ? tcp::CapsuleCmd{} : *capsule;
}

TEST(CommandRing, MakesReadsThatAskForTheirPayloadByTransport) {
  CommandRing ring({.direction = Direction::kRead, .order = Order::kSequential, .io_bytes = 4096}, kMap, 4, 1);
  ring.make(2);
  const auto bytes = joined(ring);
  ASSERT_EQ(bytes.size(), 2 * 72u);
  const auto second = capsule_at(bytes, 72);
  EXPECT_EQ(second.ch.type, uint8_t(tcp::PduType::kCapsuleCmd));
  EXPECT_EQ(uint32_t{second.ch.plen}, 72u);
  EXPECT_EQ(second.sqe.opcode, uint8_t(nvme::IoOpcode::kRead));
  EXPECT_EQ(uint32_t{second.sqe.nsid}, 7u);
  EXPECT_EQ(uint16_t{second.sqe.cid}, 1);
  EXPECT_EQ(second.sqe.slba(), 8u);
  EXPECT_EQ(second.sqe.block_count(), 8u);
  EXPECT_EQ(second.sqe.sgl.type, nvme::SglDescriptor::kTransportDataBlock);
}

TEST(CommandRing, MakesWritesThatCarryTheirPayload) {
  CommandRing ring({.direction = Direction::kWrite, .io_bytes = 4096}, kMap, 4, 1);
  ring.make(1);
  const auto bytes = joined(ring);
  ASSERT_EQ(bytes.size(), 72 + 4096u);
  const auto capsule = capsule_at(bytes, 0);
  EXPECT_EQ(capsule.ch.pdo, 72u);
  EXPECT_EQ(uint32_t{capsule.ch.plen}, 72 + 4096u);
  EXPECT_EQ(capsule.sqe.sgl.type, nvme::SglDescriptor::kDataBlockOffset);
  EXPECT_EQ(uint32_t{capsule.sqe.sgl.length}, 4096u);
}

TEST(CommandRing, KeepsTheOrderAcrossItsEndAndAcrossPartsThatWereSent) {
  CommandRing ring({.direction = Direction::kRead, .order = Order::kSequential, .io_bytes = 512}, kMap, 4, 1);
  ring.make(3);
  ring.sent(2 * 72 + 10);
  ring.make(3);
  const auto bytes = joined(ring);
  ASSERT_EQ(bytes.size(), 4 * 72 - 10u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(uint16_t{capsule_at(bytes, 62 + i * 72).sqe.cid}, 3 + i);
  ring.sent(bytes.size());
  EXPECT_FALSE(ring.has_pending());
}

TEST(CommandRing, StaysInsideTheBlocksThatAreUsed) {
  CommandRing ring({.direction = Direction::kRead, .io_bytes = 4096}, {.block_bytes = 512, .block_count = 20}, 64, 1);
  ring.make(64);
  const auto bytes = joined(ring);
  for (size_t offset = 0; offset < bytes.size(); offset += 72) {
    EXPECT_LE(capsule_at(bytes, offset).sqe.slba() + 8, 20u);
    EXPECT_EQ(capsule_at(bytes, offset).sqe.slba() % 8, 0u);
  }
}

}  // namespace
}  // namespace weft::bench
