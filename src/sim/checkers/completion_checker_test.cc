// Completions: once each, and laid out as they must be. Each rule broken, and a legal neighbour.
#include "sim/checkers/wire_rule.h"

namespace weft::sim {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit
using ::testing::HasSubstr;

/// The completion of a flush with CID 1, which came after the Connect, with one field changed.
Act flushed(std::function<void(nvme::Cqe&)> change) {
  return opened([change = std::move(change)](Line& line) {
    line.host(line.flush(1));
    nvme::Cqe cqe{};
    cqe.cid = 1;
    cqe.sqid = 1;
    cqe.sqhd = line.options().is_flow_controlled ? 2 : 0;
    change(cqe);
    line.target(line.response(cqe));
  });
}
const Act kRight = flushed([](nvme::Cqe&) {});

const Rule kCompletions[] = {
    {"IsForWhatIsOutstanding", kRight, flushed([](nvme::Cqe& c) { c.cid = 2; }),
     "completion: connection 1 of machine 1"},
    {"ComesOnce", kRight, opened([](Line& l) {
       l.host(l.flush(1));
       const Bytes twice = l.response(1);
       l.target(twice);
       l.target(twice);
     }),
     "CID 0001h, which is not outstanding"},
    {"ComesAfterItsCommand", kRight, opened([](Line& l) {
       l.sent(Side::kHost, l.flush(1));
       l.target(l.response(1));
     }),
     "CID 0001h, which is not outstanding"},
    {"Sqid", kRight, flushed([](nvme::Cqe& c) { c.sqid = 2; }), "SQID 2"},
    {"Phase", kRight, flushed([](nvme::Cqe& c) { c.status = 1; }), "the phase bit"},
    {"StatusCodeType", flushed([](nvme::Cqe& c) { c.status = 0x0600; }),
     flushed([](nvme::Cqe& c) { c.status = 0x0800; }), "status code type 4"},
    {"Crd", kRight, flushed([](nvme::Cqe& c) { c.status = 0x1002; }), "CRD is set"},
    {"Cdw0", kRight, flushed([](nvme::Cqe& c) { c.dw0 = 7; }), "CDW0 is 00000007h"},
    {"Cdw1", kRight, flushed([](nvme::Cqe& c) { c.dw1 = 7; }), "CDW1 is 00000007h"},
    {"SqhdAdvances", kRight, flushed([](nvme::Cqe& c) { c.sqhd = 1; }),
     "SQHD 1 says that 0 commands were taken; 1 were completed"},
    {"SqhdDoesNotRunAhead", kRight, flushed([](nvme::Cqe& c) { c.sqhd = 3; }),
     "SQHD 3 says that 2 commands were taken; 1 were completed, 1 had come"},
    {"SqhdMayBeAheadOfCompletions", opened([](Line& l) {
       l.host(l.flush(1));
       l.host(l.flush(2));
       nvme::Cqe cqe{};
       cqe.cid = 2;
       cqe.sqhd = 3;
       l.target(l.response(cqe));
     }),
     opened([](Line& l) {
       l.host(l.flush(1));
       l.host(l.flush(2));
       nvme::Cqe cqe{};
       cqe.cid = 2;
       cqe.sqhd = 0;  // of 4 entries: three further
       l.target(l.response(cqe));
     }),
     "SQHD 0 says that 3 commands were taken"},
    {"SqhdStaysInTheQueue", kRight, flushed([](nvme::Cqe& c) { c.sqhd = 4; }), "SQHD 4 on a queue of 4 entries"},
    {"SqhdIsNothingWithoutFlowControl",
     kRight,
     flushed([](nvme::Cqe& c) { c.sqhd = 1; }),
     "SQHD 1 on a queue without flow control",
     {.is_flow_controlled = false}},
};

class CompletionRule : public ::testing::TestWithParam<Rule> {};
TEST_P(CompletionRule, IsFoundBrokenAndItsLegalNeighbourIsNot) {
  const Rule& rule = GetParam();
  EXPECT_EQ(outcome(rule.options, rule.legal), "");
  EXPECT_THAT(outcome(rule.options, rule.broken), HasSubstr(rule.says));
}
INSTANTIATE_TEST_SUITE_P(Completion, CompletionRule, ::testing::ValuesIn(kCompletions), name_of_rule);

TEST(CompletionChecker, SqhdGoesRound) {
  Watched watched;
  Line line(watched, {});
  line.open();
  for (int i = 0; i < 20; ++i) {
    line.host(line.flush(1));
    line.host(line.flush(2));
    line.target(line.response(2));
    line.target(line.response(1));
  }
  EXPECT_EQ(watched.finding(), "");
}

TEST(CompletionChecker, EveryCommandIsCompletedInTheEnd) {
  Watched watched;
  Line line(watched, {});
  line.open();
  line.host(line.flush(1));
  watched.completions.at_rest();
  EXPECT_THAT(watched.finding(), HasSubstr("the command with CID 0001h and opcode 00h is never completed"));
}

TEST(CompletionChecker, EventRequestsAndClosedConnectionsMayWait) {
  Watched watched;
  Line admin(watched, {.qid = 0, .sqsize = 31});
  admin.open();
  admin.host(admin.capsule(Line::admin(nvme::AdminOpcode::kAsyncEventRequest, 1)));
  Line closed(watched, {});
  closed.open();
  closed.host(closed.flush(1));
  closed.close();
  watched.completions.at_rest();
  EXPECT_EQ(watched.finding(), "");
}

}  // namespace
}  // namespace weft::sim
