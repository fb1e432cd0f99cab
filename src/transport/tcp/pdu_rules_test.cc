#include "transport/tcp/pdu_rules.h"

#include <gtest/gtest.h>

#include <array>

#include "base/prng.h"

namespace weft::tcp {
namespace {

constexpr Session kFresh{};
constexpr Session agreed(uint8_t dgst) {
  Session session{.maxh2cdata = 65536};
  session.agree(dgst, 0);
  return session;
}
constexpr Session kPlain = agreed(0);
constexpr Session kDigests = agreed(kDigestHeader | kDigestData);

CommonHeader header(PduType type, uint8_t flags, uint8_t hlen, uint8_t pdo, uint32_t plen) {
  return {.type = uint8_t(type), .flags = flags, .hlen = hlen, .pdo = pdo, .plen = plen};
}

struct HeaderCase {
  const char* name;
  Session session;
  CommonHeader header;
  Violation expected;
};

class CommonHeaderRule : public ::testing::TestWithParam<HeaderCase> {};

TEST_P(CommonHeaderRule, NamesTheLowestWrongField) {
  const auto checked = check_common_header(GetParam().header, GetParam().session);
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error().fes, GetParam().expected.fes);
  EXPECT_EQ(checked.error().fei, GetParam().expected.fei);
}

constexpr Violation field(uint32_t offset) { return {Fes::kInvalidHeaderField, offset}; }
constexpr Violation kSequence{Fes::kSequenceError};
constexpr auto kIc = PduType::kIcReq;
constexpr auto kCmd = PduType::kCapsuleCmd;
constexpr auto kData = PduType::kH2cData;
constexpr uint8_t kBoth = kFlagHdgst | kFlagDdgst;

INSTANTIATE_TEST_SUITE_P(
    Table, CommonHeaderRule,
    ::testing::Values(
        HeaderCase{"CapsuleBeforeIcReq", kFresh, header(kCmd, 0, 72, 0, 72), kSequence},
        HeaderCase{"UnknownBeforeIcReq", kFresh, header(PduType(0x20), 0, 72, 0, 72), kSequence},
        HeaderCase{"SecondIcReq", kPlain, header(kIc, 0, 128, 0, 128), kSequence},
        HeaderCase{"UnknownType", kPlain, header(PduType(0x08), 0, 24, 0, 24), field(0)},
        HeaderCase{"WrongDirectionIcResp", kPlain, header(PduType::kIcResp, 0, 128, 0, 128), field(0)},
        HeaderCase{"WrongDirectionTermReq", kPlain, header(PduType::kC2hTermReq, 0, 24, 0, 24), field(0)},
        HeaderCase{"WrongDirectionResponse", kPlain, header(PduType::kCapsuleResp, 0, 24, 0, 24), field(0)},
        HeaderCase{"WrongDirectionData", kPlain, header(PduType::kC2hData, 0, 24, 24, 28), field(0)},
        HeaderCase{"WrongDirectionR2t", kPlain, header(PduType::kR2t, 0, 24, 0, 24), field(0)},
        HeaderCase{"IcReqFlags", kFresh, header(kIc, 1, 128, 0, 128), field(1)},
        HeaderCase{"IcReqHlen", kFresh, header(kIc, 0, 127, 0, 128), field(2)},
        HeaderCase{"IcReqPdo", kFresh, header(kIc, 0, 128, 4, 128), field(3)},
        HeaderCase{"IcReqPlen", kFresh, header(kIc, 0, 128, 0, 132), field(4)},
        HeaderCase{"CapsuleReservedFlag", kPlain, header(kCmd, 0x80, 72, 0, 72), field(1)},
        HeaderCase{"CapsuleLastFlag", kPlain, header(kCmd, kFlagLast, 72, 0, 72), field(1)},
        HeaderCase{"CapsuleHeaderDigestNotAgreed", kPlain, header(kCmd, kFlagHdgst, 72, 0, 76), field(1)},
        HeaderCase{"CapsuleHeaderDigestMissing", kDigests, header(kCmd, 0, 72, 0, 72), field(1)},
        HeaderCase{"CapsuleDataDigestNotAgreed", kPlain, header(kCmd, kFlagDdgst, 72, 0, 72), field(1)},
        HeaderCase{"CapsuleDataDigestMissing", kDigests, header(kCmd, kFlagHdgst, 72, 76, 84), field(1)},
        HeaderCase{"CapsuleHlenShort", kPlain, header(kCmd, 0, 71, 0, 72), field(2)},
        HeaderCase{"CapsuleHlenLong", kPlain, header(kCmd, 0, 76, 0, 76), field(2)},
        HeaderCase{"CapsulePdoWithoutData", kPlain, header(kCmd, 0, 72, 72, 72), field(3)},
        HeaderCase{"CapsulePdoMissing", kPlain, header(kCmd, 0, 72, 0, 76), field(3)},
        HeaderCase{"CapsulePdoInHeader", kPlain, header(kCmd, 0, 72, 68, 80), field(3)},
        HeaderCase{"CapsulePdoInHeaderDigest", kDigests, header(kCmd, kBoth, 72, 72, 84), field(3)},
        HeaderCase{"CapsulePdoMisaligned", kPlain, header(kCmd, 0, 72, 74, 80), field(3)},
        HeaderCase{"CapsulePdoBeyondPlen", kPlain, header(kCmd, 0, 72, 84, 80), field(3)},
        HeaderCase{"CapsulePlenShort", kPlain, header(kCmd, 0, 72, 0, 71), field(4)},
        HeaderCase{"CapsulePlenZero", kPlain, header(kCmd, 0, 72, 0, 0), field(4)},
        HeaderCase{"CapsulePlenWithoutRoomForDataDigest", kDigests, header(kCmd, kBoth, 72, 76, 80), field(4)},
        HeaderCase{"CapsulePlenAboveInCapsuleMax", kPlain, header(kCmd, 0, 72, 72, 72 + 8196), field(4)},
        HeaderCase{"CapsulePlenHuge", kPlain, header(kCmd, 0, 72, 72, 0xffffffff), field(4)},
        HeaderCase{"DataReservedFlag", kPlain, header(kData, kFlagSuccess, 24, 24, 28), field(1)},
        HeaderCase{"DataDigestMissing", kDigests, header(kData, kFlagHdgst, 24, 28, 36), field(1)},
        HeaderCase{"DataHlen", kPlain, header(kData, 0, 25, 28, 32), field(2)},
        HeaderCase{"DataPdoMisaligned", kPlain, header(kData, 0, 24, 26, 32), field(3)},
        HeaderCase{"DataWithoutData", kPlain, header(kData, 0, 24, 0, 24), field(4)},
        HeaderCase{"DataPlenShort", kPlain, header(kData, 0, 24, 0, 20), field(4)}),
    [](const auto& test) { return test.param.name; });

TEST(CommonHeaderRule, AcceptsPaddingBeyondTheAlignment) {
  const auto layout = check_common_header(header(kCmd, kBoth, 72, 128, 128 + 512 + 4), kDigests);
  ASSERT_TRUE(layout.has_value());
  EXPECT_EQ(layout->header_size, 76u);
  EXPECT_EQ(layout->data_offset, 128u);
  EXPECT_EQ(layout->data_size, 512u);
  EXPECT_TRUE(layout->has_data_digest);
}

TEST(CommonHeaderRule, AcceptsADataDigestFlagWithoutDataWhereDigestsAreAgreed) {
  const auto layout = check_common_header(header(kCmd, kBoth, 72, 0, 76), kDigests);
  ASSERT_TRUE(layout.has_value());
  EXPECT_EQ(layout->data_size, 0u);
  EXPECT_FALSE(layout->has_data_digest);
}

TEST(CommonHeaderRule, AcceptsInCapsuleDataUpToTheMaximum) {
  EXPECT_TRUE(check_common_header(header(kCmd, 0, 72, 72, 72 + 8192), kPlain).has_value());
}

TEST(IcReqRule, ChecksVersionAlignmentAndDigests) {
  IcReq request{};
  EXPECT_TRUE(check_ic_req(request).has_value());
  request.dgst = 4;
  EXPECT_EQ(check_ic_req(request).error(), field(11));
  request.hpda = 32;
  EXPECT_EQ(check_ic_req(request).error(), field(10));
  request.pfv = 1;
  EXPECT_EQ(check_ic_req(request).error(), (Violation{Fes::kUnsupportedParameter, 8}));
}

struct DataCase {
  const char* name;
  uint16_t cid;
  uint32_t offset, size;
  uint8_t flags;
  size_t size_in_pdu;
  Violation expected;
};

class H2cDataRule : public ::testing::TestWithParam<DataCase> {};

// A transfer of 131072 bytes of command 7, of which 4096 have come; at most 65536 in one PDU.
TEST_P(H2cDataRule, NamesTheViolation) {
  const DataCase& c = GetParam();
  DataPdu pdu{};
  pdu.ch.flags = c.flags;
  pdu.cccid = c.cid;
  pdu.datao = c.offset;
  pdu.datal = c.size;
  const Layout layout{.header_size = 24, .data_offset = 24, .data_size = c.size_in_pdu, .size = 24 + c.size_in_pdu, .has_data_digest = false};
  const OpenTransfer transfer{.cid = 7, .length = 131072, .next_offset = 4096};
  const auto checked = check_h2c_data(pdu, layout, kPlain, &transfer);
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error(), c.expected);
}

INSTANTIATE_TEST_SUITE_P(
    Table, H2cDataRule,
    ::testing::Values(DataCase{"OtherCommand", 8, 4096, 4096, 0, 4096, field(10)},
                      DataCase{"LengthDiffersFromPdu", 7, 4096, 4096, 0, 4100, field(16)},
                      DataCase{"AboveMaxH2cData", 7, 4096, 65540, 0, 65540, {Fes::kDataTransferLimitExceeded}},
                      DataCase{"OffsetBeyondTransfer", 7, 131072, 4, 0, 4, {Fes::kDataTransferOutOfRange}},
                      DataCase{"EndBeyondTransfer", 7, 131068, 8, kFlagLast, 8, {Fes::kDataTransferOutOfRange}},
                      DataCase{"SumWraps", 7, 0xfffffffc, 8, 0, 8, {Fes::kDataTransferOutOfRange}},
                      DataCase{"Gap", 7, 8192, 4096, 0, 4096, kSequence},
                      DataCase{"Overlap", 7, 0, 4096, 0, 4096, kSequence},
                      DataCase{"LastTooEarly", 7, 4096, 4096, kFlagLast, 4096, kSequence}),
    [](const auto& test) { return test.param.name; });

TEST(H2cDataRule, RefusesAnUnknownTransferTag) {
  const Layout layout{.header_size = 24, .data_offset = 24, .data_size = 4, .size = 28, .has_data_digest = false};
  DataPdu pdu{};
  pdu.datal = 4;
  EXPECT_EQ(check_h2c_data(pdu, layout, kPlain, nullptr).error(), field(10));
}

TEST(H2cDataRule, WantsTheLastFlagAtTheEnd) {
  const Layout layout{.header_size = 24, .data_offset = 24, .data_size = 4, .size = 28, .has_data_digest = false};
  const OpenTransfer transfer{.cid = 0, .length = 4, .next_offset = 0};
  DataPdu pdu{};
  pdu.datal = 4;
  EXPECT_EQ(check_h2c_data(pdu, layout, kPlain, &transfer).error(), kSequence);
  pdu.ch.flags = kFlagLast;
  EXPECT_TRUE(check_h2c_data(pdu, layout, kPlain, &transfer).has_value());
}

bool operator==(const Layout& one, const Layout& other) {
  return one.header_size == other.header_size && one.data_offset == other.data_offset && one.data_size == other.data_size &&
         one.size == other.size && one.has_data_digest == other.has_data_digest;
}

TEST(PlainCapsule, IsNothingOrWhatTheRulesSay) {
  Prng prng{1};
  size_t plain = 0;
  const std::array sessions{kPlain, agreed(kDigestHeader), agreed(kDigestData), kDigests};
  for (const Session& session : sessions) {
    const auto header_size = uint8_t(session.has_header_digest ? 76 : 72);
    const uint8_t header_flag = session.has_header_digest ? kFlagHdgst : 0;
    for (int i = 0; i < 20000; ++i) {
      const bool has_data = prng.below(2) == 0;
      const uint8_t flags = header_flag | (has_data && session.has_data_digest ? kFlagDdgst : 0);
      CommonHeader tried = header(kCmd, flags, 72, has_data ? header_size : 0, uint32_t(header_size - 2 + prng.below(2) * prng.below(10000)));
      if (prng.below(4) == 0) tried.plen = uint32_t(header_size + (has_data ? 8190 + prng.below(9) : 0));
      if (prng.below(4) == 0) reinterpret_cast<uint8_t*>(&tried)[prng.below(sizeof tried)] = uint8_t(prng.below(256));
      const auto found = plain_capsule(tried, session);
      if (!found) continue;
      ++plain;
      const auto checked = check_common_header(tried, session);
      ASSERT_TRUE(checked.has_value());
      ASSERT_TRUE(*found == *checked);
    }
  }
  EXPECT_GT(plain, 10000u);
  EXPECT_TRUE(plain_capsule(header(kCmd, 0, 72, 0, 72), kPlain).has_value());
  EXPECT_TRUE(plain_capsule(header(kCmd, 0, 72, 72, 72 + 8192), kPlain).has_value());
  EXPECT_TRUE(plain_capsule(header(kCmd, kFlagHdgst, 72, 0, 76), kDigests).has_value());
  EXPECT_TRUE(plain_capsule(header(kCmd, kBoth, 72, 76, 76 + 8192 + 4), kDigests).has_value());
  EXPECT_FALSE(plain_capsule(header(kCmd, 0, 72, 0, 72), kDigests).has_value());
}

}  // namespace
}  // namespace weft::tcp
