// The violation table on the wire of a connection: every row, with the bytes arriving one at a time, in odd pieces and all at once, with and
// without digests. What is expected: a C2HTermReq with FES, FEI and the offending header, then a half-close and nothing else.
#include <gtest/gtest.h>

#include <functional>

#include "transport/tcp/test_support.h"

namespace weft::tcp {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit

/// A transfer that the target has asked for by R2T: Connect with its 1024 bytes of data sent separately.
struct OpenR2t {
  uint16_t ttag;
};

struct Row {
  const char* name;
  Violation expected;
  /// The bytes of the wrong PDU.
  std::function<Bytes(const PeerOptions&, OpenR2t)> pdu;
  size_t echoed;  // bytes of the header that come back
};

constexpr uint16_t kCid = 1;

Bytes data_pdu(const PeerOptions& options, uint16_t ttag, uint32_t offset, uint32_t size, uint8_t flags, uint16_t cid) {
  DataPdu header{};
  header.cccid = cid;
  header.ttag = ttag;
  header.datao = offset;
  header.datal = size;
  return pdu(PduType::kH2cData, header, flags, Bytes(size), options);
}

Bytes raw(uint8_t type, uint8_t flags, uint8_t hlen, uint8_t pdo, uint32_t plen) {
  Bytes bytes;
  add(bytes, CommonHeader{.type = type, .flags = flags, .hlen = hlen, .pdo = pdo, .plen = plen});
  return bytes;
}

/// The digest flags of a PDU whose header is otherwise wrong.
uint8_t agreed(const PeerOptions& options) { return options.has_header_digest ? kFlagHdgst : 0; }

const Row kRows[] = {
    {"SecondIcReq", {Fes::kSequenceError}, [](const PeerOptions& o, OpenR2t) { return ic_req(o); }, 8},
    {"UnknownType", {Fes::kInvalidHeaderField, 0}, [](const PeerOptions&, OpenR2t) { return raw(0x0a, 0, 24, 0, 24); }, 8},
    {"WrongDirection", {Fes::kInvalidHeaderField, 0}, [](const PeerOptions&, OpenR2t) { return raw(0x05, 0, 24, 0, 24); }, 8},
    {"ReservedFlag", {Fes::kInvalidHeaderField, 1}, [](const PeerOptions& o, OpenR2t) { return raw(0x04, agreed(o) | 0x40, 72, 0, 72); }, 8},
    {"DigestFlag", {Fes::kInvalidHeaderField, 1}, [](const PeerOptions& o, OpenR2t) { return raw(0x04, agreed(o) ^ kFlagHdgst, 72, 0, 72); }, 8},
    {"Hlen", {Fes::kInvalidHeaderField, 2}, [](const PeerOptions& o, OpenR2t) { return raw(0x04, agreed(o), 64, 0, 72); }, 8},
    {"Pdo", {Fes::kInvalidHeaderField, 3}, [](const PeerOptions& o, OpenR2t) { return raw(0x04, agreed(o), 72, 4, 72); }, 8},
    {"Plen", {Fes::kInvalidHeaderField, 4}, [](const PeerOptions& o, OpenR2t) { return raw(0x04, agreed(o), 72, 0, 16); }, 8},
    {"UnknownTag", {Fes::kInvalidHeaderField, 10}, [](const PeerOptions& o, OpenR2t r) { return data_pdu(o, r.ttag + 1, 0, 4, 0, kCid); }, 24},
    {"StaleTag", {Fes::kInvalidHeaderField, 10}, [](const PeerOptions& o, OpenR2t r) { return data_pdu(o, r.ttag ^ 0x400, 0, 4, 0, kCid); }, 24},
    {"OtherCid", {Fes::kInvalidHeaderField, 10}, [](const PeerOptions& o, OpenR2t r) { return data_pdu(o, r.ttag, 0, 4, 0, kCid + 1); }, 24},
    {"OutsideR2t", {Fes::kDataTransferOutOfRange}, [](const PeerOptions& o, OpenR2t r) { return data_pdu(o, r.ttag, 1024, 4, 0, kCid); }, 24},
    {"BeyondR2t", {Fes::kDataTransferOutOfRange}, [](const PeerOptions& o, OpenR2t r) { return data_pdu(o, r.ttag, 0, 1028, 0, kCid); }, 24},
    {"Gap", {Fes::kSequenceError}, [](const PeerOptions& o, OpenR2t r) { return data_pdu(o, r.ttag, 4, 4, 0, kCid); }, 24},
    {"LastTooEarly", {Fes::kSequenceError}, [](const PeerOptions& o, OpenR2t r) { return data_pdu(o, r.ttag, 0, 4, kFlagLast, kCid); }, 24},
    {"LastMissing", {Fes::kSequenceError}, [](const PeerOptions& o, OpenR2t r) { return data_pdu(o, r.ttag, 0, 1024, 0, kCid); }, 24},
};

struct Variant {
  const char* name;
  PeerOptions options;
};

class ViolationTable : public ::testing::TestWithParam<Variant> {
 protected:
  /// Brings a connection to where an R2T is open.
  static OpenR2t open_r2t(TestPeer& peer, const PeerOptions& options) {
    peer.send(ic_req(options));
    peer.take();
    Bytes connect = connect_capsule(kCid, {}, options);
    nvme::Sqe sqe = view<CapsuleCmd>(connect)->sqe;
    sqe.sgl.type = nvme::SglDescriptor::kTransportDataBlock;
    peer.send(capsule(sqe, {}, options));
    const Bytes request = peer.take_pdu();
    EXPECT_EQ(PduType(view<R2t>(request)->ch.type), PduType::kR2t);
    return {view<R2t>(request)->ttag};
  }
  static void expect_termination(TestPeer& peer, Violation expected, std::span<const std::byte> offending, size_t echoed) {
    const Bytes termination = peer.take_pdu();
    const auto* request = view<TermReq>(termination);
    ASSERT_NE(request, nullptr);
    EXPECT_EQ(PduType(request->ch.type), PduType::kC2hTermReq);
    EXPECT_EQ(request->ch.flags, 0);
    EXPECT_EQ(request->ch.hlen, sizeof(TermReq));
    EXPECT_EQ(uint16_t{request->fes}, uint16_t(expected.fes));
    EXPECT_EQ(uint32_t{request->fei}, expected.fei);
    ASSERT_EQ(termination.size(), sizeof(TermReq) + echoed);
    EXPECT_TRUE(std::equal(offending.begin(), offending.begin() + ptrdiff_t(echoed), termination.begin() + sizeof(TermReq)));
    EXPECT_TRUE(peer.out.empty());
    EXPECT_EQ(peer.wish(), net::Wish::kFinish);
  }
  PeerOptions options_ = GetParam().options;
  TestTarget target_{small_limits()};
};

TEST_P(ViolationTable, EveryRowEndsTheConnectionWithItsError) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    TestPeer peer(target_, options_);
    const OpenR2t open = open_r2t(peer, options_);
    const Bytes wrong = row.pdu(options_, open);
    peer.send(wrong);
    expect_termination(peer, row.expected, wrong, row.echoed);
  }
}

TEST_P(ViolationTable, AWrongHeaderDigestIsReportedWithTheDigestReceived) {
  PeerOptions digests = options_;
  digests.has_header_digest = true;
  TestPeer peer(target_, digests);
  const OpenR2t open = open_r2t(peer, digests);
  Bytes wrong = data_pdu(digests, open.ttag, 0, 1024, kFlagLast, kCid);
  wrong[24] ^= std::byte{1};
  peer.send(wrong);
  expect_termination(peer, {Fes::kHeaderDigestError, load_le32(wrong.data() + 24)}, wrong, 24);
}

TEST_P(ViolationTable, WhatIsWrongWithIcReqIsReported) {
  const struct {
    size_t offset;
    Violation expected;
  } rows[] = {{8, {Fes::kUnsupportedParameter, 8}}, {10, {Fes::kInvalidHeaderField, 10}}, {11, {Fes::kInvalidHeaderField, 11}}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.offset);
    TestPeer peer(target_, options_);
    Bytes wrong = ic_req(options_);
    wrong[row.offset] = std::byte{0x80};
    peer.send(wrong);
    expect_termination(peer, row.expected, wrong, 128);
  }
}

TEST_P(ViolationTable, AnythingBeforeIcReqIsOutOfSequence) {
  TestPeer peer(target_, options_);
  const Bytes wrong = connect_capsule(kCid, {}, options_);
  peer.send(wrong);
  expect_termination(peer, {Fes::kSequenceError}, wrong, 8);
}

TEST_P(ViolationTable, ACapsuleThatCallsItselfAnIcReqIsNone) {
  TestPeer peer(target_, options_);
  Bytes wrong = connect_capsule(kCid, {}, options_);
  std::fill_n(wrong.begin(), offsetof(CommonHeader, plen), std::byte{0});
  peer.send(wrong);
  expect_termination(peer, {Fes::kInvalidHeaderField, offsetof(CommonHeader, hlen)}, wrong, 8);
}

INSTANTIATE_TEST_SUITE_P(
    Splits, ViolationTable,
    ::testing::Values(Variant{"Whole", {}}, Variant{"OneByte", {.segment = 1}}, Variant{"SevenBytes", {.segment = 7}},
                      Variant{"OneByteDigests", {.segment = 1, .has_header_digest = true, .has_data_digest = true}},
                      Variant{"WholeDigestsAligned", {.has_header_digest = true, .has_data_digest = true, .hpda = 15}},
                      Variant{"OneByteSends", {.window = 1}}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace weft::tcp
