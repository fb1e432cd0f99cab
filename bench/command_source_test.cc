#include "bench/command_source.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace weft::bench {
namespace {

const BlockMap kMap{.nsids = {7}, .block_bytes = 512, .block_count = 64};

tcp::CapsuleCmd capsule_of(const CommandSource::Command& command) {
  const auto* capsule = view<tcp::CapsuleCmd>(command.header);
  return capsule == nullptr ? tcp::CapsuleCmd{} : *capsule;
}

TEST(CommandSource, MakesReadsThatAskForTheirPayloadByTransport) {
  CommandSource source({.direction = Direction::kRead, .order = Order::kSequential, .io_bytes = 4096}, kMap, 1);
  source.next(0);
  const auto second = source.next(1);
  EXPECT_EQ(second.header.size(), 72u);
  EXPECT_FALSE(second.has_payload);
  const auto capsule = capsule_of(second);
  EXPECT_EQ(capsule.ch.type, uint8_t(tcp::PduType::kCapsuleCmd));
  EXPECT_EQ(uint32_t{capsule.ch.plen}, 72u);
  EXPECT_EQ(capsule.sqe.opcode, uint8_t(nvme::IoOpcode::kRead));
  EXPECT_EQ(uint32_t{capsule.sqe.nsid}, 7u);
  EXPECT_EQ(uint16_t{capsule.sqe.cid}, 1);
  EXPECT_EQ(capsule.sqe.slba(), 8u);
  EXPECT_EQ(capsule.sqe.block_count(), 8u);
  EXPECT_EQ(capsule.sqe.sgl.type, nvme::SglDescriptor::kTransportDataBlock);
}

TEST(CommandSource, MakesWritesThatCarryTheirPayload) {
  CommandSource source({.direction = Direction::kWrite, .io_bytes = 4096}, kMap, 1);
  const auto command = source.next(0);
  const auto capsule = capsule_of(command);
  EXPECT_TRUE(command.has_payload);
  EXPECT_EQ(capsule.ch.pdo, 72u);
  EXPECT_EQ(uint32_t{capsule.ch.plen}, 72 + 4096u);
  EXPECT_EQ(capsule.sqe.sgl.type, nvme::SglDescriptor::kDataBlockOffset);
  EXPECT_EQ(uint32_t{capsule.sqe.sgl.length}, 4096u);
}

TEST(CommandSource, LeavesPayloadThatDoesNotFitIntoACapsuleToR2ts) {
  CommandSource source({.direction = Direction::kWrite, .io_bytes = 16384}, kMap, 1);
  const auto command = source.next(0);
  EXPECT_FALSE(command.has_payload);
  EXPECT_EQ(uint32_t{capsule_of(command).ch.plen}, 72u);
  EXPECT_EQ(capsule_of(command).sqe.sgl.type, nvme::SglDescriptor::kTransportDataBlock);
}

TEST(CommandSource, MixesBothDirectionsAsAsked) {
  CommandSource source({.direction = Direction::kMixed, .io_bytes = 4096, .read_percent = 70}, kMap, 1);
  size_t reads = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto command = source.next(0);
    const bool is_read = capsule_of(command).sqe.opcode == uint8_t(nvme::IoOpcode::kRead);
    EXPECT_EQ(command.has_payload, !is_read);
    reads += is_read;
  }
  EXPECT_NEAR(double(reads), 700, 50);
}

TEST(CommandSource, GoesToNamespacesInTurn) {
  CommandSource source({.io_bytes = 512}, {.nsids = {3, 5}, .block_bytes = 512, .block_count = 8}, 2);
  for (const uint32_t nsid : {3u, 5u, 3u}) EXPECT_EQ(uint32_t{capsule_of(source.next(0)).sqe.nsid}, nsid);
}

TEST(CommandSource, GoesThroughAllOfEveryNamespaceInOrder) {
  CommandSource source({.order = Order::kSequential, .io_bytes = 512}, {.nsids = {1, 2}, .block_bytes = 512, .block_count = 4}, 0);
  std::set<std::pair<uint32_t, uint64_t>> seen;
  for (uint16_t cid = 0; cid < 8; ++cid) {
    const auto sqe = capsule_of(source.next(cid)).sqe;
    seen.emplace(sqe.nsid, sqe.slba());
  }
  EXPECT_EQ(seen.size(), 8u);
}

TEST(CommandSource, StaysInsideTheBlocksThatAreUsed) {
  CommandSource source({.io_bytes = 4096}, {.block_bytes = 512, .block_count = 20}, 1);
  for (uint16_t cid = 0; cid < 64; ++cid) {
    const auto capsule = capsule_of(source.next(cid));
    EXPECT_LE(capsule.sqe.slba() + 8, 20u);
    EXPECT_EQ(capsule.sqe.slba() % 8, 0u);
  }
}

TEST(CommandSource, ComputesDigests) {
  const Workload workload{.direction = Direction::kWrite, .io_bytes = 512, .digests = {.header = true, .data = true}};
  CommandSource source(workload, kMap, 1);
  const auto command = source.next(9);
  const auto capsule = capsule_of(command);
  ASSERT_EQ(command.header.size(), 76u);
  EXPECT_EQ(load_le32(command.header.data() + 72), crc32c(command.header.first(72)));
  EXPECT_EQ(capsule.ch.flags, tcp::kFlagHdgst | tcp::kFlagDdgst);
  EXPECT_EQ(capsule.ch.pdo, 76u);
  EXPECT_EQ(uint32_t{capsule.ch.plen}, 76 + 512 + 4u);
  const auto payload = payload_of(workload);
  ASSERT_EQ(payload.size(), 516u);
  EXPECT_EQ(load_le32(payload.data() + 512), crc32c(std::span(payload).first(512)));
}

}  // namespace
}  // namespace weft::bench
