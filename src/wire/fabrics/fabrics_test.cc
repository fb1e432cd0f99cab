// Connect, the property commands and the discovery log.
#include "wire/fabrics/connect.h"
#include "wire/fabrics/discovery.h"
#include "wire/print.h"
#include "wire/test_bytes.h"
#include "wire/text_field.h"

#include <gtest/gtest.h>

namespace weft::fabrics {
namespace {

TEST(Connect, CommandRoundTripAndDump) {
  const auto sqe = from_bytes<ConnectSqe>({{0, {0x7f, 0x40, 1, 0, 0x01}},
                                           {32, {0x00, 0x04}},
                                           {39, {0x01}},  // 1024 bytes in the capsule
                                           {40, {0, 0, 2, 0, 127, 0, 0x0c, 0, 0x88, 0x13, 0, 0}}});
  EXPECT_EQ(uint16_t{sqe.qid}, 2);
  EXPECT_EQ(uint16_t{sqe.sqsize}, 127);
  EXPECT_EQ(to_text(sqe),
            "Connect cid 0x0001 recfmt 0 qid 2 sqsize 127 cattr 0x0c (no SQ flow control, disconnects) kato 5000 ms "
            "sgl [in-capsule offset 0x0 length 1024]");
}

TEST(Connect, DataRoundTripAndDump) {
  const auto data = from_bytes<ConnectData>({{0, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
                                             {16, {0xff, 0xff}},
                                             {256, chars("nqn.2024-01.io.example:a")},
                                             {512, chars("nqn.2024-01.io.example:\x1b[31m")}});
  EXPECT_EQ(uint16_t{data.cntlid}, kCntlidDynamic);
  EXPECT_EQ(nul_terminated(data.subnqn), "nqn.2024-01.io.example:a");
  EXPECT_EQ(to_text(data),
            "hostid 00010203-0405-0607-0809-0a0b0c0d0e0f cntlid 0xffff subnqn \"nqn.2024-01.io.example:a\" "
            "hostnqn \"nqn.2024-01.io.example:\\x1b[31m\"");
}

TEST(Property, SetShowsItsValue) {
  const auto sqe =
      from_bytes<PropertySqe>({{0, {0x7f, 0x40, 2, 0, 0x00}}, {44, {0x14}}, {48, {0x01, 0x00, 0x46, 0x00}}});
  EXPECT_EQ(uint32_t{sqe.ofst}, 0x14u);
  EXPECT_EQ(to_text(sqe), "Property Set cid 0x0002 attrib 0x00 ofst 0x14 value 0x460001");
}

TEST(Discovery, HeaderRoundTripAndDump) {
  const auto header = from_bytes<DiscoveryLogHeader>({{0, {9}}, {8, {2}}, {18, {2}}, {20, {0, 0x0c}}});
  EXPECT_EQ(uint64_t{header.genctr}, 9u);
  EXPECT_EQ(to_text(header), "genctr 9 numrec 2 recfmt 0 dlpf 0x02 tdlpl 3072");
}

DiscoveryLogEntry tcp_entry() {
  return from_bytes<DiscoveryLogEntry>({{0, {3, 1, 3, 0x06, 1, 0, 0xff, 0xff, 32, 0, 0x03, 0}},
                                        {32, chars("4420  ")},
                                        {256, chars(kDiscoveryNqn)},
                                        {512, chars("127.0.0.1")},
                                        {768, {2}}});
}

TEST(Discovery, TcpEntryRoundTripAndDump) {
  const DiscoveryLogEntry entry = tcp_entry();
  EXPECT_EQ(Subtype(entry.subtype), Subtype::kCurrentDiscovery);
  EXPECT_EQ(text_of(entry.trsvcid), "4420");
  EXPECT_EQ(to_text(entry),
            "trtype    : 3 (tcp)\n"
            "adrfam    : 1 (ipv4)\n"
            "subtype   : 3 (current discovery subsystem)\n"
            "treq      : 0x06 (secure channel not required, SQ flow control may be disabled)\n"
            "portid    : 1\n"
            "cntlid    : 0xffff\n"
            "asqsz     : 32\n"
            "eflags    : 0x0003 (duplicate, persistent)\n"
            "trsvcid   : 4420\n"
            "subnqn    : nqn.2014-08.org.nvmexpress.discovery\n"
            "traddr    : 127.0.0.1\n"
            "tsas      : sectype 2\n");
}

TEST(Discovery, RdmaEntryShowsItsOwnAddressFields) {
  const auto entry = from_bytes<DiscoveryLogEntry>({{0, {1, 2, 2}}, {768, {1, 4, 1, 0, 0, 0, 0, 0, 0xff, 0xff}}});
  const std::string text = to_text(entry);
  EXPECT_NE(text.find("trtype    : 1 (rdma)\nadrfam    : 2 (ipv6)\n"), std::string::npos);
  EXPECT_NE(text.find("tsas      : qptype 1 prtype 4 cms 1 pkey 0xffff\n"), std::string::npos);
}

}  // namespace
}  // namespace weft::fabrics
