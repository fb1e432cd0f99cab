#include "wire/nvme/queue_commands.h"

#include "wire/print.h"
#include "wire/print_pcie.h"
#include "wire/test_bytes.h"

#include <gtest/gtest.h>

namespace weft::nvme {
namespace {

TEST(Prps, LieWhereTheSglLies) {
  Sqe sqe = from_bytes<Sqe>({{0, {0x02, 0x00, 0x07, 0x00, 1}}, {24, {0x00, 0x10, 0, 0, 0x05}}, {32, {0x00, 0x20, 0, 0, 0, 0, 0, 0x80}}});
  EXPECT_EQ(uint64_t{prps_of(sqe).prp1}, 0x500001000u);
  EXPECT_EQ(uint64_t{prps_of(sqe).prp2}, 0x8000000000002000u);
  EXPECT_EQ(to_text(sqe, 1),
            "Read (02h) cid 0x0007 nsid 0x1 psdt 0 prp1 0x500001000 prp2 0x8000000000002000 cdw10 00000000 00000000 00000000 "
            "00000000 00000000 00000000");
  set_prps(sqe, {.prp1 = 0x1122334455667788, .prp2 = 1});
  EXPECT_EQ(bytes_at(sqe, 24, 9), (std::vector<uint8_t>{0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 1}));
}

TEST(QueueCreation, IdAndZeroBasedSizeShareADword) {
  Sqe sqe{};
  sqe.cdw10 = 0x00ff0003;
  const auto creation = QueueCreation::from(sqe);
  EXPECT_EQ(creation.qid, 3);
  EXPECT_EQ(creation.entries, 256u);
  EXPECT_EQ(creation.cdw10(), 0x00ff0003u);
  EXPECT_EQ((QueueCreation{.qid = 1, .entries = 65536}.cdw10()), 0xffff0001u);
}

TEST(QueueCreation, FlagsAndTheOtherIdAreInDword11) {
  EXPECT_EQ(create_cq_cdw11(5), 0x00050003u);
  EXPECT_EQ(create_sq_cdw11(7), 0x00070001u);
}

TEST(AbortTarget, QueueAndCommandShareADword) {
  Sqe sqe{};
  sqe.cdw10 = 0x12340002;
  EXPECT_EQ(AbortTarget::from(sqe).sqid, 2);
  EXPECT_EQ(AbortTarget::from(sqe).cid, 0x1234);
  EXPECT_EQ(AbortTarget::from(sqe).cdw10(), 0x12340002u);
}

TEST(DoorbellBufferConfig, HasItsName) { EXPECT_EQ(name_of(kDoorbellBufferConfig), "Doorbell Buffer Config"); }

}  // namespace
}  // namespace weft::nvme
