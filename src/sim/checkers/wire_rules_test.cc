// The wire monitor: capsules, data and responses, as rules that hosts and targets keep.
#include "sim/checkers/wire_rule.h"

namespace weft::sim {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit

const Rule kCapsules[] = {
    {"ConnectComesFirst", [](Line& l) { l.open(); },
     [](Line& l) {
       l.shake_hands();
       l.host(l.flush(1));
     },
     "host: a command before Connect"},
    {"ConnectIsAlone", [](Line& l) { l.open(); },
     [](Line& l) {
       l.shake_hands();
       l.host(l.connect(0));
       l.host(l.connect(1));
     },
     "host: CapsuleCmd: 1 commands are outstanding on a queue of 1"},
    {"ConnectComesOnce", opened([](Line& l) { l.host(l.flush(1)); }), opened([](Line& l) { l.host(l.connect(1)); }),
     "a second Connect"},
    {"CidIsNotReused", opened([](Line& l) {
       l.host(l.flush(1));
       l.target(l.response(1));
       l.host(l.flush(1));
     }),
     opened([](Line& l) {
       l.host(l.flush(1));
       l.sent(Side::kTarget, l.response(1));  // the host does not have it yet
       l.host(l.flush(1));
     }),
     "host: CapsuleCmd: CID 0001h is outstanding"},
    {"TheQueueHoldsThem", opened([](Line& l) {
       for (uint16_t cid = 1; cid <= 4; ++cid) l.host(l.flush(cid));
     }),
     opened([](Line& l) {
       for (uint16_t cid = 1; cid <= 5; ++cid) l.host(l.flush(cid));
     }),
     "host: CapsuleCmd: 4 commands are outstanding on a queue of 4"},
    {"Psdt", opened([](Line& l) { l.host(l.flush(1)); }), opened([](Line& l) { l.host(l.edited(l.flush(1), 9, 0)); }),
     "PSDT 0"},
    {"ReservedFlags", opened([](Line& l) { l.host(l.flush(1)); }),
     opened([](Line& l) { l.host(l.edited(l.flush(1), 9, 0x44)); }), "reserved flags 44h"},
    {"SglType", opened([](Line& l) { l.host(l.read(1, 1)); }),
     opened([](Line& l) { l.host(l.edited(l.read(1, 1), 8 + 39, 0x40)); }), "SGL type 40h"},
    {"SglLengthOfInCapsuleData", opened([](Line& l) { l.host(l.write_in_capsule(1, 1)); }),
     opened([](Line& l) { l.host(l.edited(l.write_in_capsule(1, 1), 8 + 33, 4)); }),
     "512 bytes in the capsule, 1024 in its SGL"},
    {"SglOffsetOfInCapsuleData", opened([](Line& l) { l.host(l.write_in_capsule(1, 1)); }),
     opened([](Line& l) { l.host(l.edited(l.write_in_capsule(1, 1), 8 + 24, 4)); }), "in-capsule data at offset 4"},
    {"SglOfATransportBlock", opened([](Line& l) { l.host(l.write(1, 1)); }),
     opened([](Line& l) { l.host(l.capsule(l.io(nvme::IoOpcode::kWrite, 1, 1, kTransport), Bytes(512))); }),
     "512 bytes in a capsule with a transport SGL"},
    {"DataOnlyForWhatTakesSome", opened([](Line& l) { l.host(l.write_in_capsule(1, 1)); }),
     opened([](Line& l) { l.host(l.capsule(l.io(nvme::IoOpcode::kRead, 1, 1, kInCapsule), Bytes(512))); }),
     "data in the capsule of a command that takes none"},
    {"NoDataForWhatHasNone", opened([](Line& l) { l.host(l.flush(1)); }), opened([](Line& l) {
       nvme::Sqe sqe = l.io(nvme::IoOpcode::kFlush, 1, 1, kInCapsule);
       l.host(l.capsule(sqe, Bytes(512)));
     }),
     "data in the capsule of a command without"},
};
INSTANTIATE_TEST_SUITE_P(Capsule, WireRule, ::testing::ValuesIn(kCapsules), name_of_rule);

const Rule kH2cData[] = {
    {"AnswersAnR2t", writing(send_all), writing([](Line& l) { l.host(l.h2c(7, 2, 0, 4096, 0)); }),
     "H2CData: nobody has asked for it"},
    {"WaitsForTheR2t", writing(send_all), opened([](Line& l) {
       l.host(l.write(7, 16));
       l.sent(Side::kTarget, l.r2t(7, 1, 0, 8192));
       l.host(l.h2c(7, 1, 0, 4096, 0));
     }),
     "H2CData: nobody has asked for it"},
    {"IsNotSentTwice", writing(send_all), writing([](Line& l) {
       send_all(l);
       l.host(l.h2c(7, 1, 4096, 4096, kLast));
     }),
     "H2CData: nobody has asked for it"},
    {"IsAtMostMaxh2cdata", writing(send_all), writing([](Line& l) { l.host(l.h2c(7, 1, 0, 8192, kLast)); }),
     "H2CData: 8192 bytes, MAXH2CDATA is 4096"},
    {"LeavesNoGap", writing(send_all), writing([](Line& l) { l.host(l.h2c(7, 1, 512, 512, 0)); }),
     "H2CData: DATAO 512, due is 0"},
    {"StaysInTheR2t", writing(send_all), writing([](Line& l) {
       l.host(l.h2c(7, 1, 0, 4096, 0));
       l.host(l.h2c(7, 1, 4096, 2048, 0));
       l.host(l.h2c(7, 1, 6144, 4096, kLast));
     }),
     "H2CData: 4096 bytes at 6144 exceed the R2T"},
    {"HasLastAtTheEnd", writing(send_all), writing([](Line& l) {
       l.host(l.h2c(7, 1, 0, 4096, 0));
       l.host(l.h2c(7, 1, 4096, 4096, 0));
     }),
     "H2CData: LAST_PDU is false after 8192 of 8192"},
    {"HasLastNotBefore", writing(send_all), writing([](Line& l) { l.host(l.h2c(7, 1, 0, 4096, kLast)); }),
     "H2CData: LAST_PDU is true after 4096 of 8192"},
    {"DatalIsWhatThereIs", writing(send_all),
     writing([](Line& l) { l.host(l.edited(l.h2c(7, 1, 0, 4096, 0), 16, 4)); }),
     "H2CData: DATAL 4100, but it has 4096"},
};
INSTANTIATE_TEST_SUITE_P(H2cData, WireRule, ::testing::ValuesIn(kH2cData), name_of_rule);

const Rule kR2t[] = {
    {"IsForACommandThatHasCome", writing(send_all), opened([](Line& l) {
       l.sent(Side::kHost, l.write(7, 16));
       l.target(l.r2t(7, 1, 0, 8192));
     }),
     "R2T: no command with CID 0007h"},
    {"IsForAWrite", writing(send_all), reading([](Line& l) { l.target(l.r2t(7, 1, 0, 512)); }),
     "R2T for a command that has no data"},
    {"IsNotForInCapsuleData", writing(send_all), opened([](Line& l) {
       l.host(l.write_in_capsule(7, 1));
       l.target(l.r2t(7, 1, 0, 512));
     }),
     "R2T for a command that has no data"},
    {"AsksForSomething", writing(send_all), opened([](Line& l) {
       l.host(l.write(7, 16));
       l.target(l.r2t(7, 1, 0, 0));
     }),
     "R2T for 0 bytes"},
    {"LeavesNoGap", writing(send_all), opened([](Line& l) {
       l.host(l.write(7, 16));
       l.target(l.r2t(7, 1, 512, 512));
     }),
     "R2T: R2TO 512, due is 0"},
    {"AsksForNothingTwice", writing(send_all), writing([](Line& l) {
       send_all(l);
       l.target(l.r2t(7, 2, 0, 512));
     }),
     "R2T: R2TO 0, due is 8192"},
    {"StaysInTheCommand", writing(send_all), opened([](Line& l) {
       l.host(l.write(7, 16));
       l.target(l.r2t(7, 1, 0, 8193));
     }),
     "R2T: 8193 bytes at 0 exceed the 8192"},
    {"IsOneAtATime", opened([](Line& l) {
       l.host(l.write(7, 16));
       l.target(l.r2t(7, 1, 0, 4096));
       l.host(l.h2c(7, 1, 0, 4096, kLast));
       l.target(l.r2t(7, 1, 4096, 4096));
     }),
     opened([](Line& l) {
       l.host(l.write(7, 16));
       l.target(l.r2t(7, 1, 0, 4096));
       l.target(l.r2t(7, 2, 4096, 4096));
     }),
     "R2T: 1 are outstanding, MAXR2T allows 1"},
    {"MayBeSeveralIfTheHostSaysSo",
     opened([](Line& l) {
       l.host(l.write(7, 16));
       l.target(l.r2t(7, 1, 0, 4096));
       l.target(l.r2t(7, 2, 4096, 512));
     }),
     opened([](Line& l) {
       l.host(l.write(7, 16));
       for (uint16_t i = 0; i < 3; ++i) l.target(l.r2t(7, i, i * 512, 512));
     }),
     "R2T: 2 are outstanding, MAXR2T allows 2",
     {.maxr2t = 1}},
    {"HasATagOfItsOwn", writing([](Line& l) {
       l.host(l.write(8, 1));
       l.target(l.r2t(8, 2, 0, 512));
     }),
     writing([](Line& l) {
       l.host(l.write(8, 1));
       l.target(l.r2t(8, 1, 0, 512));
     }),
     "R2T: TTAG 0001h is in use"},
};
INSTANTIATE_TEST_SUITE_P(R2t, WireRule, ::testing::ValuesIn(kR2t), name_of_rule);

const Rule kC2hData[] = {
    {"IsForACommandThatHasCome", reading(give_all), opened([](Line& l) {
       l.sent(Side::kHost, l.read(7, 2));
       l.target(l.c2h(7, 0, 1024, kLast));
     }),
     "C2HData: no command with CID 0007h"},
    {"IsForARead", reading(give_all), writing([](Line& l) { l.target(l.c2h(7, 0, 512, kLast)); }),
     "C2HData for a command that reads nothing"},
    {"LeavesNoGap", reading(give_all), reading([](Line& l) { l.target(l.c2h(7, 512, 512, kLast)); }),
     "C2HData: DATAO 512, due is 0"},
    {"IsAtMostWhatWasAskedFor", reading(give_all), reading([](Line& l) { l.target(l.c2h(7, 0, 1028, kLast)); }),
     "C2HData: 1028 bytes at 0 exceed the 1024"},
    {"EndsWithLast", reading(give_all), reading([](Line& l) {
       l.target(l.c2h(7, 0, 512, kLast));
       l.target(l.c2h(7, 512, 512, kLast));
     }),
     "C2HData after the one with LAST_PDU"},
    {"DatalIsWhatThereIs", reading(give_all), reading([](Line& l) { l.target(l.edited(l.c2h(7, 0, 512, 0), 16, 4)); }),
     "C2HData: DATAL 516, but it has 512"},
    {"ReservedBytes", reading(give_all), reading([](Line& l) { l.target(l.edited(l.c2h(7, 0, 512, 0), 10, 4)); }),
     "C2HData: reserved"},
    {"SuccessHasLast",
     reading([](Line& l) { l.target(l.c2h(7, 0, 1024, kLast | kSuccess)); }),
     reading([](Line& l) { l.target(l.c2h(7, 0, 1024, kSuccess)); }),
     "SUCCESS without LAST_PDU",
     {.is_flow_controlled = false}},
    {"SuccessHasAllData",
     reading([](Line& l) { l.target(l.c2h(7, 0, 1024, kLast | kSuccess)); }),
     reading([](Line& l) { l.target(l.c2h(7, 0, 512, kLast | kSuccess)); }),
     "SUCCESS after 512 of 1024",
     {.is_flow_controlled = false}},
    {"SuccessNeedsNoFlowControl", reading(give_all),
     reading([](Line& l) { l.target(l.c2h(7, 0, 1024, kLast | kSuccess)); }),
     "SUCCESS on a queue with SQ flow control"},
    {"SuccessIsTheEnd",
     reading([](Line& l) {
       l.target(l.c2h(7, 0, 1024, kLast | kSuccess));
       l.host(l.flush(7));
       l.target(l.response(7));
     }),
     reading([](Line& l) {
       l.target(l.c2h(7, 0, 1024, kLast | kSuccess));
       l.target(l.response(7));
     }),
     "completion for CID 0007h, which is not outstanding",
     {.is_flow_controlled = false}},
};
INSTANTIATE_TEST_SUITE_P(C2hData, WireRule, ::testing::ValuesIn(kC2hData), name_of_rule);

const Rule kResponses[] = {
    {"SuccessOfAReadHasAllData", reading([](Line& l) {
       give_all(l);
       l.target(l.response(7));
     }),
     reading([](Line& l) {
       l.target(l.c2h(7, 0, 512, 0));
       l.target(l.response(7));
     }),
     "success after 512 of 1024 bytes were sent"},
    {"SuccessOfAReadHasLast", reading([](Line& l) {
       give_all(l);
       l.target(l.response(7));
     }),
     reading([](Line& l) {
       l.target(l.c2h(7, 0, 1024, 0));
       l.target(l.response(7));
     }),
     "no C2HData had LAST_PDU"},
    {"AFailedReadNeedsNoData", reading([](Line& l) { l.target(l.response(7, nvme::status::kUnrecoveredReadError)); }),
     reading([](Line& l) { l.target(l.response(7)); }), "success after 0 of 1024 bytes were sent"},
    {"SuccessOfAWriteHasAllData", writing([](Line& l) {
       send_all(l);
       l.target(l.response(7));
     }),
     writing([](Line& l) {
       l.host(l.h2c(7, 1, 0, 4096, 0));
       l.sent(Side::kHost, l.h2c(7, 1, 4096, 4096, kLast));  // still on its way
       l.target(l.response(7));
     }),
     "success after 4096 of 8192 bytes have arrived"},
    {"AFailedWriteNeedsNoData", writing([](Line& l) { l.target(l.response(7, nvme::status::kAbortRequested)); }),
     writing([](Line& l) { l.target(l.response(7)); }), "success after 0 of 8192 bytes have arrived"},
};
INSTANTIATE_TEST_SUITE_P(Response, WireRule, ::testing::ValuesIn(kResponses), name_of_rule);

}  // namespace
}  // namespace weft::sim
