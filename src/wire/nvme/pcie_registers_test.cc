#include "wire/nvme/pcie_registers.h"

#include "wire/print_pcie.h"

#include <gtest/gtest.h>

namespace weft::nvme {
namespace {

TEST(Cap, FieldsLieAtTheirBitsBothWays) {
  // MQES 1023, CQR, TO 30, DSTRD 2, NSSRS, CSS NVM, MPSMIN 1, MPSMAX 4, CRMS.CRWMS.
  const uint64_t raw = 0x3ff | 1ull << 16 | 30ull << 24 | 2ull << 32 | 1ull << 36 | 1ull << 37 | 1ull << 48 | 4ull << 52 | 1ull << 59;
  const Cap cap = Cap::from_wire(raw);
  EXPECT_EQ(cap.queue_entries_max, 1024u);
  EXPECT_EQ(cap.timeout_500ms, 30u);
  EXPECT_EQ(doorbell_stride(cap), 16u);
  EXPECT_EQ(cap.page_log2_min, 1u);
  EXPECT_EQ(cap.page_log2_max, 4u);
  EXPECT_EQ(cap.to_wire(), raw);
  EXPECT_EQ(to_text(cap),
            "queue entries 1024 timeout 15000 ms doorbell stride 16 pages 8192..65536 (contiguous queues, subsystem reset, NVM, CRTO)");
}

TEST(Cap, EachBitIsSeenAlone) {
  EXPECT_TRUE(Cap::from_wire(1ull << 16).needs_contiguous_queues);
  EXPECT_TRUE(Cap::from_wire(1ull << 36).has_subsystem_reset);
  EXPECT_TRUE(Cap::from_wire(1ull << 37).has_nvm_commands);
  EXPECT_TRUE(Cap::from_wire(1ull << 59).has_ready_timeouts);
  EXPECT_EQ(Cap::from_wire(0).to_wire(), 0u);
}

TEST(Cc, IsPutTogetherAndTakenApart) {
  const Cc cc{kCcEnable | kCcShutdownNormal | kCcIoSqes64Bytes | kCcIoCqes16Bytes};
  EXPECT_EQ(cc.raw, 0x00464001u);
  EXPECT_EQ(to_text(cc), "0x00464001 en 1 css 0 mps 0 ams 0 shn 1 iosqes 6 iocqes 4");
}

TEST(Csts, DumpNamesItsBits) {
  EXPECT_EQ(csts_to_text(Csts::kRdy | Csts::kCfs | Csts::kShstComplete), "0x0000000b (ready, fatal, shut down)");
  EXPECT_EQ(csts_to_text(kAllOnes), "0xffffffff (not there)");
}

TEST(AdminQueueAttributes, CountsAreZeroBased) {
  const auto attributes = AdminQueueAttributes::from_wire(0x001f003f);
  EXPECT_EQ(attributes.submission_entries, 64u);
  EXPECT_EQ(attributes.completion_entries, 32u);
  EXPECT_EQ(attributes.to_wire(), 0x001f003fu);
}

TEST(Doorbells, AlternateByQueueInTheirStride) {
  EXPECT_EQ(sq_tail_doorbell(0, 4), 0u);
  EXPECT_EQ(cq_head_doorbell(0, 4), 4u);
  EXPECT_EQ(sq_tail_doorbell(3, 16), 96u);
  EXPECT_EQ(cq_head_doorbell(3, 16), 112u);
}

}  // namespace
}  // namespace weft::nvme
