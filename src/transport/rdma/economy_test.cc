// What a command costs in calls and work requests, counted at queue depth 32: the numbers that docs/performance.md names.
#include <gtest/gtest.h>

#include <functional>

#include "transport/rdma/test_support.h"

namespace weft::rdma {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit
using nvme::IoOpcode;

constexpr uint16_t kDepth = 32;
constexpr uint64_t kCommands = 1600;
constexpr uint32_t kSize = 4096;

class RdmaEconomy : public ::testing::Test {
 protected:
  /// kCommands of what `make` makes, kDepth at a time; each response is followed by the next command at once. Returns what the target was asked for.
  verbs::MemoryCounts run(const std::function<nvme::Sqe(uint16_t cid)>& make, std::span<const std::byte> in_capsule = {}) {
    verbs::MemoryCounts& counts = server_.target_verbs.counts;
    counts = {};
    uint64_t posted = 0, answered = 0;
    for (; posted < kDepth; ++posted) io().post(make(uint16_t(posted)), in_capsule);
    for (int cycle = 0; answered < kCommands && cycle < 100000; ++cycle) {
      const verbs::MemoryCounts before = counts;
      server_.target.reactor.run_once();
      EXPECT_LE(counts.send_posts, before.send_posts + 1) << "a cycle's work requests are one chain";
      EXPECT_LE(counts.receive_posts, before.receive_posts + 1) << "a cycle's receives are one list";
      while (const auto response = io().take_response()) {
        EXPECT_TRUE(response->cqe.decoded_status().ok());
        ++answered;
        if (posted < kCommands) io().post(make(response->cqe.cid), in_capsule), ++posted;
      }
    }
    EXPECT_EQ(answered, kCommands);
    server_.run();
    return counts;
  }
  nvme::Sqe sqe(IoOpcode opcode, uint16_t cid) {
    nvme::Sqe sqe = io_sqe(opcode, cid, uint64_t{cid} * 8, kSize / kBlockSize, 0);
    sqe.sgl = io().keyed(size_t{cid} * kSize, kSize);
    return sqe;
  }
  TestQueue& io() { return *session_.io; }
  size_t bytes_held() const {
    size_t bytes = 0;
    for (size_t share = 0; share < kShareCount; ++share) bytes += server_.target.shared->shard.buffers().bytes_in_use(Share(share));
    return bytes;
  }

  TestServer server_;
  Session session_{server_, 64};
};

TEST_F(RdmaEconomy, AReadIsOneWriteAndOneSendAndOneCompletionForSixteen) {
  const auto counts = run([this](uint16_t cid) { return sqe(IoOpcode::kRead, cid); });
  EXPECT_EQ(counts.writes, kCommands);
  EXPECT_EQ(counts.sends, kCommands);
  EXPECT_EQ(counts.reads, 0u);
  EXPECT_LE(counts.send_completions, kCommands / 16 + 1);
  EXPECT_EQ(counts.receives, kCommands);
  EXPECT_LE(counts.send_posts, kCommands / 8);  // many commands to a chain
}

TEST_F(RdmaEconomy, AWriteIsOneReadAndOneSendAndOneCompletion) {
  const auto counts = run([this](uint16_t cid) { return sqe(IoOpcode::kWrite, cid); });
  EXPECT_EQ(counts.reads, kCommands);
  EXPECT_EQ(counts.sends, kCommands);
  EXPECT_EQ(counts.writes, 0u);
  // The READ's, and every sixteenth response's at most.
  EXPECT_LE(counts.send_completions, kCommands + kCommands / 16 + 1);
}

TEST_F(RdmaEconomy, AWriteInItsCapsuleIsOneSend) {
  const Bytes data = pattern(kSize, 1);
  const auto counts = run(
      [](uint16_t cid) { return io_sqe(IoOpcode::kWrite, cid, uint64_t{cid} * 8, kSize / kBlockSize, nvme::SglDescriptor::kDataBlockOffset); },
      data);
  EXPECT_EQ(counts.sends, kCommands);
  EXPECT_EQ(counts.reads + counts.writes, 0u);
  EXPECT_LE(counts.send_completions, kCommands / 16 + 1);
}

TEST_F(RdmaEconomy, AQueueAtRestHoldsNoBuffer) {
  for (uint16_t count = 1; count < 40; ++count) {
    for (uint16_t cid = 0; cid < count; ++cid) io().post(sqe(IoOpcode::kRead, cid));
    server_.run();
    EXPECT_EQ(bytes_held(), 0u) << count << " reads";
    while (io().take_response()) {}
  }
}

}  // namespace
}  // namespace weft::rdma
