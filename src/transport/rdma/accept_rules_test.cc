// Every reason for which a connection request is refused: as a rule, and as the host sees it.
#include "transport/rdma/accept_rules.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "transport/rdma/test_support.h"

namespace weft::rdma {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit

constexpr Request kAdmin{.qid = 0, .receive_entries = 32, .send_entries = 32, .cntlid = 0};
constexpr Request kIo{.qid = 1, .receive_entries = 128, .send_entries = 128, .cntlid = 1};

std::expected<Acceptance, RejectStatus> judged(const Request& request, uint16_t initiator_depth = 16, uint16_t responder_resources = 0, uint16_t recfmt = 0,
                                               size_t size = sizeof(RequestData)) {
  static const verbs::Device kDevice{.name = "test", .initiated_reads_max = 8};
  RequestData data = encode(request);
  data.recfmt = recfmt;
  return judge({.device = kDevice, .private_data = bytes_of(data).first(size), .initiator_depth = initiator_depth, .responder_resources = responder_resources, .local = {}, .peer = {}},
               Limits{});
}

TEST(AcceptRules, TakeWhatLinuxAndEsxiAskFor) {
  ASSERT_TRUE(judged(kAdmin).has_value());
  EXPECT_EQ(judged(kAdmin)->request, kAdmin);
  EXPECT_TRUE(judged(kIo).has_value());
  EXPECT_TRUE(judged(kIo, 16, 1).has_value());  // ESXi: responder resources
}

TEST(AcceptRules, GiveAsManyReadsAsHostAndDeviceCan) {
  EXPECT_EQ(judged(kIo, 16)->reads_max, 8);
  EXPECT_EQ(judged(kIo, 3)->reads_max, 3);
}

TEST(AcceptRules, SayWhatIsWrong) {
  EXPECT_EQ(judged(kAdmin, 16, 0, 0, 31).error(), RejectStatus::kInvalidLength);
  EXPECT_EQ(judged(kAdmin, 16, 0, 1).error(), RejectStatus::kInvalidRecfmt);
  EXPECT_EQ(judged({.qid = 129, .receive_entries = 32, .send_entries = 32, .cntlid = 1}).error(), RejectStatus::kInvalidQid);
  EXPECT_EQ(judged({.qid = 1, .receive_entries = 32, .send_entries = 1025, .cntlid = 1}).error(), RejectStatus::kInvalidHsqsize);
  EXPECT_EQ(judged({.qid = 1, .receive_entries = 32, .send_entries = 1, .cntlid = 1}).error(), RejectStatus::kInvalidHsqsize);
  EXPECT_EQ(judged({.qid = 1, .receive_entries = 0, .send_entries = 32, .cntlid = 1}).error(), RejectStatus::kInvalidHrqsize);
  EXPECT_EQ(judged(kIo, 0).error(), RejectStatus::kInvalidIrd);
  EXPECT_EQ(judged({.qid = 1, .receive_entries = 32, .send_entries = 32, .cntlid = 0xfff5}).error(), RejectStatus::kInvalidCntlid);
}

TEST(RdmaAcceptor, TellsTheHostWhyItIsRefused) {
  TestServer server;
  TestQueue queue(server, {.qid = 200});
  EXPECT_EQ(queue.ending, verbs::Ending::Kind::kRejected);
  EXPECT_EQ(decode_reject(queue.private_data), RejectStatus::kInvalidQid);
  EXPECT_EQ(server.acceptor->totals().refused, 1u);
}

TEST(RdmaAcceptor, TakesNoMoreQueuesThanItHasReceivesFor) {
  Limits limits = rdma_limits();
  limits.rdma_receives = 96;  // three queues of 32
  TestServer server(limits);
  std::vector<std::unique_ptr<TestQueue>> queues;
  for (int i = 0; i < 3; ++i) queues.push_back(std::make_unique<TestQueue>(server, TestQueue::Options{}));
  for (const auto& queue : queues) EXPECT_TRUE(queue->is_established);
  {
    TestQueue refused(server, {});
    EXPECT_EQ(decode_reject(refused.private_data), RejectStatus::kNoResources);
  }
  queues.pop_back();
  TestQueue again(server, {});
  EXPECT_TRUE(again.is_established);
}

TEST(RdmaAcceptor, TakesNoMoreOfAPeerThanItsCap) {
  Limits limits = rdma_limits();
  limits.connections_per_peer = 1;
  TestServer server(limits);
  TestQueue first(server, {});
  TestQueue second(server, {});
  EXPECT_TRUE(first.is_established);
  EXPECT_EQ(decode_reject(second.private_data), RejectStatus::kNoResources);
}

TEST(RdmaAcceptor, ADeviceThatCannotBeOpenedRefusesAndIsTriedAgain) {
  TestServer server;
  server.target_verbs.open_error = Error{Errc::kLimit, "no memory may be locked"};
  TestQueue refused(server, {});
  EXPECT_EQ(decode_reject(refused.private_data), RejectStatus::kNoResources);
  server.target_verbs.open_error.reset();
  TestQueue taken(server, {});
  EXPECT_TRUE(taken.is_established);
}

}  // namespace
}  // namespace weft::rdma
