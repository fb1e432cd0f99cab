// The wire monitor: the handshake, the shape of PDUs, the end, and bytes that the network spoils.
#include "sim/checkers/wire_rule.h"

namespace weft::sim {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit
using ::testing::HasSubstr;

TEST_P(WireRule, IsFoundBrokenAndItsLegalNeighbourIsNot) {
  const Rule& rule = GetParam();
  EXPECT_EQ(outcome(rule.options, rule.legal), "");
  EXPECT_THAT(outcome(rule.options, rule.broken), HasSubstr(rule.says));
}

TEST_P(WireRule, DoesNotDependOnHowTheBytesAreCut) {
  const Rule& rule = GetParam();
  LineOptions one_byte = rule.options;
  one_byte.segment = 1;
  EXPECT_EQ(outcome(one_byte, rule.legal), "");
  EXPECT_THAT(outcome(one_byte, rule.broken), HasSubstr(rule.says));
}

const Rule kHandshake[] = {
    {"IcReqComesFirst", [](Line& l) { l.shake_hands(); }, [](Line& l) { l.host(l.connect(0)); },
     "host: CapsuleCmd before ICReq"},
    {"IcReqComesOnce", [](Line& l) { l.shake_hands(); },
     [](Line& l) {
       l.shake_hands();
       l.host(l.ic_req());
     },
     "host: a second ICReq"},
    {"IcRespAnswersIcReq", [](Line& l) { l.shake_hands(); }, [](Line& l) { l.target(l.ic_resp()); },
     "target: ICResp before it has received ICReq"},
    {"IcRespWaitsForAllOfIcReq", [](Line& l) { l.shake_hands(); },
     [](Line& l) {
       l.sent(Side::kHost, l.ic_req());
       l.sent(Side::kTarget, l.ic_resp());
     },
     "target: ICResp before it has received ICReq"},
    {"TheHostWaitsForIcResp", [](Line& l) { l.open(); },
     [](Line& l) {
       l.host(l.ic_req());
       l.sent(Side::kTarget, l.ic_resp());
       l.sent(Side::kHost, l.connect(0));
     },
     "host: CapsuleCmd before it has received ICResp"},
    {"IcReqHpda", [](Line& l) { l.host(l.edited(l.ic_req(), 10, 31)); },
     [](Line& l) { l.host(l.edited(l.ic_req(), 10, 32)); }, "ICReq: HPDA 32"},
    {"IcReqPfv", [](Line& l) { l.host(l.ic_req()); }, [](Line& l) { l.host(l.edited(l.ic_req(), 8, 1)); },
     "ICReq: PFV 1"},
    {"IcReqDgst", [](Line& l) { l.host(l.edited(l.ic_req(), 11, 3)); },
     [](Line& l) { l.host(l.edited(l.ic_req(), 11, 4)); }, "ICReq: DGST 04h"},
    {"IcReqReserved", [](Line& l) { l.host(l.ic_req()); }, [](Line& l) { l.host(l.edited(l.ic_req(), 127, 1)); },
     "ICReq: reserved"},
    {"IcRespGivesNoDigestUnasked", [](Line& l) { l.shake_hands(); },
     [](Line& l) {
       l.host(l.ic_req());
       l.target(l.edited(l.ic_resp(), 11, 1));
     },
     "ICResp: DGST 01h, asked for was 00h"},
    {"IcRespMaxh2cdata", [](Line& l) { l.shake_hands(); },
     [](Line& l) {
       l.host(l.ic_req());
       l.target(l.edited(l.ic_resp(), 13, 0x0f));
     },
     "ICResp: MAXH2CDATA 3840"},
    {"IcRespReserved", [](Line& l) { l.shake_hands(); },
     [](Line& l) {
       l.host(l.ic_req());
       l.target(l.edited(l.ic_resp(), 16, 1));
     },
     "ICResp: reserved"},
};
INSTANTIATE_TEST_SUITE_P(Handshake, WireRule, ::testing::ValuesIn(kHandshake), name_of_rule);

const Rule kFrames[] = {
    {"TypeIsAssigned", opened([](Line& l) { l.host(l.flush(1)); }),
     opened([](Line& l) { l.host(l.edited(l.flush(1), 0, 8)); }), "type 08h is not assigned"},
    {"TypeIsForTheDirection", opened([](Line& l) { l.host(l.flush(1)); }),
     opened([](Line& l) { l.host(l.response(0)); }), "host: CapsuleResp: is for the other direction"},
    {"Flags", opened([](Line& l) { l.host(l.flush(1)); }),
     opened([](Line& l) { l.host(l.edited(l.flush(1), 1, 0x10)); }), "CapsuleCmd: flags 10h, due are 00h"},
    {"HeaderDigestIsThere",
     opened([](Line& l) { l.host(l.flush(1)); }),
     opened([](Line& l) { l.host(l.edited(l.flush(1), 1, 0)); }),
     "CapsuleCmd: flags 00h, due are 01h",
     {.peer = kDigests}},
    {"DataDigestIsNotThereWithoutData",
     opened([](Line& l) { l.host(l.flush(1)); }),
     opened([](Line& l) { l.host(l.edited(l.flush(1), 1, 3)); }),
     "CapsuleCmd: flags 03h, due are 01h",
     {.peer = kDigests}},
    {"HeaderDigestIsRight",
     opened([](Line& l) { l.host(l.flush(1)); }),
     opened([](Line& l) { l.host(changed(l.flush(1), 50)); }),
     "CapsuleCmd: header digest",
     {.peer = kDigests}},
    {"DataDigestIsRight",
     opened([](Line& l) { l.host(l.write_in_capsule(1, 1)); }),
     opened([](Line& l) { l.host(changed(l.write_in_capsule(1, 1), 200)); }),
     "CapsuleCmd: data digest",
     {.peer = kDigests}},
    {"Hlen", opened([](Line& l) { l.host(l.flush(1)); }), opened([](Line& l) { l.host(l.edited(l.flush(1), 2, 64)); }),
     "CapsuleCmd: HLEN 64, due is 72"},
    {"PdoWithoutData", opened([](Line& l) { l.host(l.flush(1)); }),
     opened([](Line& l) { l.host(l.edited(l.flush(1), 3, 72)); }), "CapsuleCmd: PDO 72 without data"},
    {"PdoInTheHeader", opened([](Line& l) { l.host(l.write_in_capsule(1, 1)); }),
     opened([](Line& l) { l.host(l.edited(l.write_in_capsule(1, 1), 3, 68)); }),
     "CapsuleCmd: PDO 68 lies in the header"},
    {"PlenOfAFixedPdu", reading([](Line& l) { l.target(l.response(7, nvme::status::kInternalError)); }),
     reading([](Line& l) { l.target(l.edited(l.response(7, nvme::status::kInternalError), 4, 25)); }),
     "CapsuleResp: PLEN 25, due is 24"},
    {"DataThatMustBeThere", writing(send_all), writing([](Line& l) {
       Bytes empty = l.h2c(7, 1, 0, 4, kLast);
       empty.resize(24);
       l.host(l.edited(l.edited(empty, 4, 24), 3, 0));
     }),
     "H2CData: PLEN 24 leaves no room for data"},
};
INSTANTIATE_TEST_SUITE_P(Frame, WireRule, ::testing::ValuesIn(kFrames), name_of_rule);

/// 512 bytes of read data at `pdo`.
Bytes aligned_data(uint8_t pdo) {
  tcp::DataPdu pdu{};
  pdu.ch = {.type = uint8_t(PduType::kC2hData), .flags = kLast, .hlen = 24, .pdo = pdo, .plen = pdo + 512u};
  pdu.cccid = uint16_t{7};
  pdu.datal = 512u;
  Bytes bytes;
  tcp::testing::add(bytes, pdu);
  bytes.resize(pdo + 512u);
  return bytes;
}
const Rule kAlignment[] = {
    {"OfTheTargetsDataIsHpda",
     opened([](Line& l) {
       l.host(l.read(7, 1));
       l.target(aligned_data(32));
     }),
     opened([](Line& l) {
       l.host(l.read(7, 1));
       l.target(aligned_data(28));
     }),
     "C2HData: PDO 28 is no multiple of 16",
     {.peer = {.hpda = 3}}},
};
INSTANTIATE_TEST_SUITE_P(Alignment, WireRule, ::testing::ValuesIn(kAlignment), name_of_rule);

// --- the end --------------------------------------------------------------------------------------------------------

const Rule kEnd[] = {
    {"NothingAfterFinish", opened([](Line& l) {
       l.host(l.flush(1));
       l.tap().on_finished(Side::kTarget, l.now);
       l.host(l.flush(2));
     }),
     opened([](Line& l) {
       l.host(l.flush(1));
       l.tap().on_finished(Side::kTarget, l.now);
       l.target(l.response(1));
     }),
     "target: sends bytes after it has closed"},
    {"NothingAfterClose", opened([](Line& l) { l.close(); }), opened([](Line& l) {
       l.close();
       l.host(l.flush(1));
     }),
     "host: sends bytes after it has closed"},
    {"APduMayBeUnfinishedAtTheEnd", opened([](Line& l) {
       Bytes half = l.flush(1);
       half.resize(40);
       l.host(half);
       l.close();
     }),
     opened([](Line& l) {
       Bytes half = l.flush(1);
       half.resize(40);
       l.host(half);
       l.host(l.flush(1));  // and so the first one goes on, with nonsense
       l.host(l.flush(2));
     }),
     "host: "},
    {"NoTerminationWithoutACause", opened([](Line& l) { l.host(l.flush(1)); }), opened([](Line& l) {
       l.host(l.flush(1));
       l.target(l.termination(PduType::kC2hTermReq, 2, 0, {}));
     }),
     "target: ends the connection with FES 2 FEI 0, but all that it has received was right"},
};
INSTANTIATE_TEST_SUITE_P(End, WireRule, ::testing::ValuesIn(kEnd), name_of_rule);

// --- bytes that the network spoils ----------------------------------------------------------------------------------

/// A flush whose header is spoiled on its way to the target.
void spoil_header(Line& line) {
  const Bytes bytes = line.flush(1);
  line.sent(Side::kHost, bytes);
  line.received(Side::kTarget, changed(bytes, 20));
}
/// A termination for it, and the header as it came.
Bytes termination_for(Line& line, uint16_t fes, uint32_t fei) {
  Bytes echo = changed(line.flush(1), 20);
  echo.resize(72);
  return line.termination(PduType::kC2hTermReq, fes, fei, echo);
}
/// A write whose data, in its capsule, is spoiled on its way to the target.
void spoil_data(Line& line) {
  const Bytes bytes = line.write_in_capsule(1, 1);
  line.sent(Side::kHost, bytes);
  line.received(Side::kTarget, changed(bytes, 100));
}

const Rule kSpoiled[] = {
    {"ASpoiledHeaderEndsTheConnection",
     opened([](Line& l) {
       spoil_header(l);
       l.target(termination_for(l, 3, 0x12345678));
     }),
     opened([](Line& l) {
       spoil_header(l);
       l.target(l.response(1));
     }),
     "completion for CID 0001h, which is not outstanding",
     {.peer = kDigests}},
    {"NothingBehindASpoiledHeaderIsTaken",
     opened([](Line& l) { spoil_header(l); }),
     opened([](Line& l) {
       spoil_header(l);
       l.host(l.flush(2));
       l.target(l.response(2));
     }),
     "completion for CID 0002h, which is not outstanding",
     {.peer = kDigests}},
    {"TerminationFes",
     opened([](Line& l) {
       spoil_header(l);
       l.target(termination_for(l, 6, 8));
     }),
     opened([](Line& l) {
       spoil_header(l);
       l.target(termination_for(l, 7, 0));
     }),
     "FES 0007h is not assigned",
     {.peer = kDigests}},
    {"TerminationFei",
     opened([](Line& l) {
       spoil_header(l);
       l.target(termination_for(l, 1, 4));
     }),
     opened([](Line& l) {
       spoil_header(l);
       l.target(termination_for(l, 1, 128));
     }),
     "FEI 128 is no offset",
     {.peer = kDigests}},
    {"TerminationFeiOfASequenceError",
     opened([](Line& l) {
       spoil_header(l);
       l.target(termination_for(l, 2, 0));
     }),
     opened([](Line& l) {
       spoil_header(l);
       l.target(termination_for(l, 2, 4));
     }),
     "FES 2 with FEI 4",
     {.peer = kDigests}},
    {"TerminationEchoesTheHeaderAsItCame",
     opened([](Line& l) {
       spoil_header(l);
       l.target(termination_for(l, 3, 0));
     }),
     opened([](Line& l) {
       spoil_header(l);
       l.target(l.termination(PduType::kC2hTermReq, 3, 0, l.flush(1)));
     }),
     "its data is not the front of the wrong PDU",
     {.peer = kDigests}},
    {"TerminationIsAtMost152Bytes",
     opened([](Line& l) {
       spoil_header(l);
       l.target(termination_for(l, 3, 0));
     }),
     opened([](Line& l) {
       spoil_header(l);
       l.target(l.termination(PduType::kC2hTermReq, 3, 0, Bytes(129)));
     }),
     "PLEN 153 is not between 24 and 152",
     {.peer = kDigests}},
    {"TerminationIsTheLast",
     opened([](Line& l) {
       l.host(l.flush(2));
       spoil_header(l);
       l.target(l.response(2));
       l.target(termination_for(l, 3, 0));
     }),
     opened([](Line& l) {
       l.host(l.flush(2));
       spoil_header(l);
       l.target(termination_for(l, 3, 0));
       l.target(l.response(2));
     }),
     "target: CapsuleResp after its termination request",
     {.peer = kDigests}},
    {"SpoiledDataFailsItsCommand",
     opened([](Line& l) {
       spoil_data(l);
       l.target(l.response(1, nvme::status::kTransientTransportError));
     }),
     opened([](Line& l) {
       spoil_data(l);
       l.target(l.response(1));
     }),
     "success, but the data came spoiled",
     {.peer = kDigests}},
    {"SpoiledDataOfAnR2tFailsItsCommand",
     writing([](Line& l) {
       l.sent(Side::kHost, l.h2c(7, 1, 0, 4096, 0));
       l.received(Side::kTarget, changed(l.h2c(7, 1, 0, 4096, 0), 1000));
       l.host(l.h2c(7, 1, 4096, 4096, kLast));
       l.target(l.response(7, nvme::status::kTransientTransportError));
     }),
     writing([](Line& l) {
       l.sent(Side::kHost, l.h2c(7, 1, 0, 4096, 0));
       l.received(Side::kTarget, changed(l.h2c(7, 1, 0, 4096, 0), 1000));
       l.host(l.h2c(7, 1, 4096, 4096, kLast));
       l.target(l.response(7));
     }),
     "success, but the data came spoiled",
     {.peer = kDigests}},
    {"TransportErrorsHaveACause",
     opened([](Line& l) {
       l.host(l.write_in_capsule(1, 1));
       l.target(l.response(1));
     }),
     opened([](Line& l) {
       l.host(l.write_in_capsule(1, 1));
       l.target(l.response(1, nvme::status::kTransientTransportError));
     }),
     "transient transport error, but all data has arrived",
     {.peer = kDigests}},
    {"ASpoiledR2tIsNotAnswered",
     opened([](Line& l) {
       l.host(l.write(7, 16));
       l.sent(Side::kTarget, l.r2t(7, 1, 0, 8192));
       l.received(Side::kHost, changed(l.r2t(7, 1, 0, 8192), 17));
       l.close();
     }),
     opened([](Line& l) {
       l.host(l.write(7, 16));
       l.sent(Side::kTarget, l.r2t(7, 1, 0, 8192));
       l.received(Side::kHost, changed(l.r2t(7, 1, 0, 8192), 17));
       l.host(l.h2c(7, 1, 0, 4096, 0));
     }),
     "H2CData: nobody has asked for it",
     {.peer = kDigests}},
};
INSTANTIATE_TEST_SUITE_P(Spoiled, WireRule, ::testing::ValuesIn(kSpoiled), name_of_rule);

TEST(WireMonitor, SaysWhenBytesAreUnderDigests) {
  Watched watched;
  Line line(watched, {.peer = kDigests});
  EXPECT_FALSE(line.tap().is_under_digests(Side::kHost));
  line.host(line.ic_req());
  Bytes first = line.ic_resp();
  const Bytes rest(first.begin() + 40, first.end());
  first.resize(40);
  line.target(first);
  EXPECT_FALSE(line.tap().is_under_digests(Side::kTarget));
  line.sent(Side::kTarget, rest);
  EXPECT_TRUE(line.tap().is_under_digests(Side::kTarget));
  EXPECT_FALSE(line.tap().is_under_digests(Side::kHost));
  line.received(Side::kHost, rest);
  EXPECT_TRUE(line.tap().is_under_digests(Side::kHost));
}

TEST(WireMonitor, WhatAStrangerSaysIsNoFinding) {
  Watched watched;
  watched.watch.distrust(1);
  Line line(watched, {});
  line.host(Bytes(200, std::byte{0xee}));
  line.target(line.termination(PduType::kC2hTermReq, 2, 0, Bytes(8, std::byte{0xee})));
  line.close();
  EXPECT_EQ(watched.finding(), "");
}

TEST(WireMonitor, BytesAreUnderDigestsOnlyIfBothAreInUse) {
  Watched watched;
  Line line(watched, {.peer = {.has_header_digest = true}});
  line.shake_hands();
  EXPECT_FALSE(line.tap().is_under_digests(Side::kTarget));
}

}  // namespace
}  // namespace weft::sim
