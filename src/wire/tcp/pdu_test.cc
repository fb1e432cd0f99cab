#include "wire/tcp/pdu.h"

#include "wire/print.h"
#include "wire/test_bytes.h"

#include <gtest/gtest.h>

namespace weft::tcp {
namespace {

TEST(Pdu, IcReqRoundTripAndDump) {
  const auto pdu = from_bytes<IcReq>({{0, {0x00, 0, 128, 0, 128, 0, 0, 0, 0, 0, 3, 0x03, 15, 0, 0, 0}}});
  EXPECT_EQ(uint32_t{pdu.ch.plen}, 128u);
  EXPECT_EQ(pdu.hpda, 3);
  EXPECT_EQ(uint32_t{pdu.maxr2t}, 15u);
  EXPECT_EQ(to_text(pdu),
            "ICReq (00h) flags 0x00 hlen 128 pdo 0 plen 128 pfv 0 hpda 3 dgst 0x03 (header, data) maxr2t 15");
}

TEST(Pdu, IcRespRoundTripAndDump) {
  const auto pdu = from_bytes<IcResp>({{0, {0x01, 0, 128, 0, 128, 0, 0, 0, 0, 0, 0, 0x01, 0, 0, 2, 0}}});
  EXPECT_EQ(uint32_t{pdu.maxh2cdata}, 131072u);
  EXPECT_EQ(to_text(pdu),
            "ICResp (01h) flags 0x00 hlen 128 pdo 0 plen 128 pfv 0 cpda 0 dgst 0x01 (header) maxh2cdata 131072");
}

TEST(Pdu, TermReqRoundTripAndDump) {
  const auto pdu = from_bytes<TermReq>({{0, {0x03, 0, 24, 0, 32, 0, 0, 0, 1, 0, 4, 0, 0, 0}}});
  EXPECT_EQ(Fes(uint16_t{pdu.fes}), Fes::kInvalidHeaderField);
  EXPECT_EQ(uint32_t{pdu.fei}, 4u);
  EXPECT_EQ(to_text(pdu), "C2HTermReq (03h) flags 0x00 hlen 24 pdo 0 plen 32 fes 1 (Invalid PDU Header Field) fei 0x4");
}

TEST(Pdu, DataPduRoundTripAndDump) {
  const auto pdu = from_bytes<DataPdu>(
      {{0, {0x07, 0x0c, 24, 24, 0x18, 0x10, 0, 0, 0x34, 0x12, 0, 0, 0, 0x20, 0, 0, 0, 0x10, 0, 0}}});
  EXPECT_EQ(uint16_t{pdu.cccid}, 0x1234);
  EXPECT_EQ(to_text(pdu),
            "C2HData (07h) flags 0x0c (LAST, SUCCESS) hlen 24 pdo 24 plen 4120 cccid 0x1234 ttag 0x0000 datao 8192 "
            "datal 4096");
}

TEST(Pdu, R2tRoundTripAndDump) {
  const auto pdu = from_bytes<R2t>({{0, {0x09, 0, 24, 0, 24, 0, 0, 0, 5, 0, 6, 0, 0, 0x10, 0, 0, 0, 0x20, 0, 0}}});
  EXPECT_EQ(uint32_t{pdu.r2to}, 4096u);
  EXPECT_EQ(to_text(pdu), "R2T (09h) flags 0x00 hlen 24 pdo 0 plen 24 cccid 0x0005 ttag 0x0006 r2to 4096 r2tl 8192");
}

TEST(Pdu, CapsulesShowWhatTheyCarry) {
  const auto command = from_bytes<CapsuleCmd>({{0, {0x04, 0, 72, 0, 72, 0, 0, 0}}, {8, {0x06, 0x40, 9, 0}}});
  EXPECT_TRUE(to_text(command).starts_with("CapsuleCmd (04h) flags 0x00 hlen 72 pdo 0 plen 72 opcode 06h cid 0x0009 "));
  const auto response = from_bytes<CapsuleResp>({{0, {0x05, 0x01, 24, 0, 28, 0, 0, 0}}, {20, {9, 0}}});
  EXPECT_EQ(to_text(response),
            "CapsuleResp (05h) flags 0x01 (HDGST) hlen 24 pdo 0 plen 28 "
            "cid 0x0009 sqid 0 sqhd 0 dw0 0x00000000 dw1 0x00000000 status 0/00h Successful Completion");
}

TEST(Pdu, DumpByTypeOfAWholePduIsThatOfItsStruct) {
  const auto r2t = from_bytes<R2t>({{0, {0x09, 0, 24, 0, 24}}});
  EXPECT_EQ(pdu_to_text(bytes_of(r2t)), to_text(r2t));
  const auto icreq = from_bytes<IcReq>({{0, {0x00, 0, 128, 0, 128}}});
  EXPECT_EQ(pdu_to_text(bytes_of(icreq)), to_text(icreq));
  const auto term = from_bytes<TermReq>({{0, {0x02, 0, 24, 0, 24}}});
  EXPECT_EQ(pdu_to_text(bytes_of(term)), to_text(term));
}

TEST(Pdu, DumpOfAShortPduStopsAtItsCommonHeader) {
  const auto r2t = from_bytes<R2t>({{0, {0x09, 0, 24, 0, 24}}});
  EXPECT_EQ(pdu_to_text(bytes_of(r2t).first(23)), to_text(r2t.ch) + " (cut at 23 bytes)");
  EXPECT_EQ(pdu_to_text(bytes_of(r2t).first(3)), "3 bytes: 090018");
  EXPECT_EQ(pdu_to_text({}), "0 bytes: ");
}

TEST(Pdu, DumpOfAnUnknownTypeIsItsCommonHeader) {
  const auto header = from_bytes<CommonHeader>({{0, {0x42, 0xff, 1, 2, 3, 0, 0, 0}}});
  EXPECT_EQ(pdu_to_text(bytes_of(header)),
            "Unknown (42h) flags 0xff (HDGST, DDGST, LAST, SUCCESS) hlen 1 pdo 2 plen 3");
}

}  // namespace
}  // namespace weft::tcp
