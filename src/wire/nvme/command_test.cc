#include "wire/nvme/command.h"

#include "wire/print.h"
#include "wire/test_bytes.h"

#include <gtest/gtest.h>

namespace weft::nvme {
namespace {

Sqe read_command() {
  return from_bytes<Sqe>({{0, {0x02, 0x40, 0x34, 0x12}},  // OPC, PSDT 01b, CID
                          {4, {0x07, 0, 0, 0}},           // NSID
                          {32, {0x00, 0x20, 0, 0}},
                          {39, {0x5a}},                             // transport SGL of 8 KiB
                          {40, {0x00, 0x01, 0, 0, 0x02, 0, 0, 0}},  // SLBA
                          {48, {0x0f, 0, 0, 0x40}}});               // NLB 0-based, FUA
}

TEST(Sqe, FieldsLieAtTheirOffsets) {
  const Sqe sqe = read_command();
  EXPECT_EQ(sqe.opcode, 0x02);
  EXPECT_EQ(sqe.psdt(), Psdt::kSglContiguousMetadata);
  EXPECT_EQ(sqe.fuse(), Fuse::kNone);
  EXPECT_EQ(uint16_t{sqe.cid}, 0x1234);
  EXPECT_EQ(uint32_t{sqe.nsid}, 7u);
  EXPECT_EQ(sqe.sgl.type, SglDescriptor::kTransportDataBlock);
  EXPECT_EQ(uint32_t{sqe.sgl.length}, 8192u);
  EXPECT_EQ(sqe.slba(), 0x0000000200000100u);
  EXPECT_EQ(sqe.block_count(), 16u);
  EXPECT_EQ(uint32_t{sqe.cdw12} & kCdw12Fua, kCdw12Fua);
}

TEST(Sqe, DumpNamesTheCommandByItsQueue) {
  const std::string fields =
      " cid 0x1234 nsid 0x7 psdt 1 sgl [transport length 8192] cdw10 00000100 00000002 4000000f 00000000 00000000 "
      "00000000";
  EXPECT_EQ(to_text(read_command()), "opcode 02h" + fields);
  EXPECT_EQ(to_text(read_command(), 1), "Read (02h)" + fields);
  EXPECT_EQ(to_text(read_command(), 0), "Get Log Page (02h)" + fields);
}

TEST(Sqe, DumpShowsTheFuseBitsOfAFusedCommand) {
  Sqe sqe = read_command();
  sqe.flags = 0x41;
  EXPECT_NE(to_text(sqe).find(" fuse 1 "), std::string::npos);
}

TEST(Sqe, DumpOfAFabricsCommandIsThatOfItsOwnStruct) {
  const Sqe get = from_bytes<Sqe>({{0, {0x7f, 0x40, 1, 0, 0x04}}, {40, {0x01}}, {44, {0x00}}});
  EXPECT_EQ(to_text(get, 0), "Property Get cid 0x0001 attrib 0x01 ofst 0x0");
  const Sqe disconnect = from_bytes<Sqe>({{0, {0x7f, 0x40, 2, 0, 0x08}}});
  EXPECT_EQ(to_text(disconnect, 3), "Disconnect cid 0x0002 recfmt 0");
  const Sqe unknown = from_bytes<Sqe>({{0, {0x7f, 0x40, 3, 0, 0x99}}});
  EXPECT_TRUE(to_text(unknown).starts_with("Unknown (fctype 99h) cid 0x0003"));
}

TEST(Cqe, RoundTripAndDump) {
  const Cqe cqe = from_bytes<Cqe>({{0, {1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 0, 0x34, 0x12, 0x04, 0xc0}}});
  EXPECT_EQ(cqe.decoded_status(), status::kInvalidField.with_dnr().with_more());
  EXPECT_EQ(to_text(cqe),
            "cid 0x1234 sqid 4 sqhd 3 dw0 0x00000001 dw1 0x00000002 status 0/02h Invalid Field in Command M DNR");
}

TEST(Sgl, DumpFollowsTheType) {
  EXPECT_EQ(to_text(from_bytes<SglDescriptor>({{0, {0x10}}, {8, {0, 2}}, {15, {0x01}}})),
            "in-capsule offset 0x10 length 512");
  // Keyed: 24 bits of length, then 32 of key.
  EXPECT_EQ(to_text(from_bytes<SglDescriptor>({{0, {0, 0x10}}, {8, {0, 0x10, 0, 0xef, 0xbe, 0xad, 0xde, 0x4f}}})),
            "keyed address 0x1000 length 4096 key 0xdeadbeef invalidate");
  EXPECT_EQ(to_text(from_bytes<SglDescriptor>({{15, {0x77}}})), "type 77h address 0x0 length 0");
}

TEST(Ranges, RoundTripAndDump) {
  const auto dsm = from_bytes<DsmRange>({{0, {4, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0}}});
  EXPECT_EQ(to_text(dsm), "slba 16 blocks 8 attributes 0x00000004");
  const auto copy = from_bytes<CopyRange>({{8, {32}}, {16, {7, 0}}});
  EXPECT_EQ(to_text(copy), "slba 32 blocks 8");
}

}  // namespace
}  // namespace weft::nvme
