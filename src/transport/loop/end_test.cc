// How a controller and the target end over the loop transport: stop, loss of the admin queue, reset, shutdown; and what may and may not hold them up.
#include "transport/loop/loop_fixture.h"

namespace weft::loop {
namespace {

using nvme::IoOpcode;
using Delivery = Connection::Delivery;

struct Ending : Loop {
  uint32_t csts() { return admin.property_get(nvme::property::kCsts).dw0; }
};
INSTANTIATE_TEST_SUITE_P(Reactors, Ending, testing::Values(1, 3));

// --- the target stops -----------------------------------------------------------------------------------------------------------------------

TEST_P(Ending, StoppingFinishesWhatADeviceHasBeforeTheConnectionsClose) {
  const auto data = pattern(512, 1);
  std::optional<nvme::Cqe> running;
  bool is_stopped = false;
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data}, running);
  target.target().stop([&] { is_stopped = true; });
  target.pass(milliseconds(target.target().limits().shutdown_ms - 500));
  EXPECT_FALSE(running);
  EXPECT_FALSE(io->connection().is_closed());
  slow.finish_all();
  target.until([&] { return is_stopped; });
  ASSERT_TRUE(running);
  EXPECT_TRUE(running->decoded_status().ok());
  EXPECT_EQ(admin.connection().close_reason(), nvmf::CloseReason::kShutdown);
}

TEST_P(Ending, AWriteWhoseDataComesWhenTheTargetStopsIsNotDone) {
  const auto data = pattern(512, 1);
  io->connection().hold_requested_data(true);
  std::optional<nvme::Cqe> waiting, running;
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data, .delivery = Delivery::kOnRequest}, waiting);
  io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, running);  // keeps the queue open
  bool is_stopped = false;
  target.target().stop([&] { is_stopped = true; });
  for (int i = 0; i < 10; ++i) target.turn();
  io->connection().deliver_all();
  EXPECT_EQ(slow.ios.size(), 1u);  // the flush
  slow.finish_all();
  target.until([&] { return is_stopped; });
  EXPECT_TRUE(running);
  EXPECT_FALSE(waiting);  // the host sends it again
}

TEST_P(Ending, AnEventRequestThatWaitsDoesNotHoldUpAStop) {
  nvme::Sqe event{};
  event.opcode = uint8_t(nvme::AdminOpcode::kAsyncEventRequest);
  std::optional<nvme::Cqe> told;
  admin.start({.sqe = event}, told);
  const Instant began = target.clock.now();
  bool is_stopped = false;
  target.target().stop([&] { is_stopped = true; });
  target.until([&] { return is_stopped; });
  EXPECT_LT(target.clock.now() - began, milliseconds(target.target().limits().shutdown_ms));
  EXPECT_FALSE(told);
}

// --- an association ends --------------------------------------------------------------------------------------------------------------------

TEST_P(Ending, LosingTheAdminQueueEndsTheAssociation) {
  admin.connection().disconnect();
  target.until([&] { return io->connection().is_detached() && admin.connection().is_detached(); });
  EXPECT_EQ(io->connection().close_reason(), nvmf::CloseReason::kAssociationEnded);
  EXPECT_EQ(target.subsystem().registry().size(), 0u);
}

/// On three reactors: the admin queue on the first, the host's new one on the second, the I/O queue on the third.
struct NextAssociationOfThree : Loop {
  NextAssociationOfThree() : next(target, 1) {}
  void start_next() { next.start(TestQueue::connect_request({}, data), answer); }
  void pass(Duration time) { target.pass(time); }
  nvme::Status answered() const { return answer ? answer->decoded_status() : nvme::status::kSuccess; }

  const fabrics::ConnectData data = TestQueue::connect_data({});
  TestQueue next;
  std::optional<nvme::Cqe> answer;
};
INSTANTIATE_TEST_SUITE_P(Reactors, NextAssociationOfThree, testing::Values(3));

TEST_P(NextAssociationOfThree, DoesNotBeginBeforeEveryReactorHasLookedAtWhatTheOldOneLeftBehind) {
  target.stall(2);
  admin.connection().disconnect();
  start_next();
  pass(seconds(4));
  EXPECT_FALSE(answer);
  target.stall_none();
  target.until([&] { return answer.has_value(); });
  EXPECT_TRUE(answered().ok());
  EXPECT_TRUE(io->connection().is_detached());
}

TEST_P(NextAssociationOfThree, IsRefusedForNowWhileAReactorIsAwayThatMayHoldCommandsOfTheOldOne) {
  target.stall(2);
  admin.connection().disconnect();
  start_next();
  pass(seconds(6));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answered(), nvme::status::kConnectControllerBusy);  // no Do Not Retry
  target.stall_none();
  target.until([&] { return io->connection().is_detached(); });
}

TEST_P(NextAssociationOfThree, BeginsWhenOnlyADeviceHasSomethingOfTheOldOneForTooLong) {
  std::optional<nvme::Cqe> stuck;
  io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, stuck);
  admin.connection().disconnect();
  start_next();
  pass(milliseconds(100));
  EXPECT_FALSE(answer);
  pass(seconds(6));
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answered().ok());
}

TEST(NextAssociation, WritesNothingWhileADeviceHasAWriteOfTheOldOneHoweverShortTheWait) {
  HeldIos slow;
  TestTarget target{1, {.shutdown_ms = 5000, .old_association_ms = 200}};
  target.add(1, std::make_unique<SlowBdev>(slow));
  const std::vector<std::byte> data(512);
  std::optional<nvme::Cqe> old;
  TestQueue admin{target}, io{target};
  const uint16_t first = admin.connect_and_enable();
  EXPECT_TRUE(io.connect({.cntlid = first, .qid = 1}).decoded_status().ok());
  io.start({.sqe = io_sqe(IoOpcode::kWrite, 7, 1), .from_host = data}, old);
  io.connection().disconnect();
  admin.connection().disconnect();

  TestQueue next_admin{target}, next_io{target};
  EXPECT_TRUE(next_io.connect({.cntlid = next_admin.connect_and_enable(), .qid = 1}).decoded_status().ok());
  EXPECT_EQ(slow.ios.size(), 1u);
  EXPECT_TRUE(next_io.status({.sqe = io_sqe(IoOpcode::kWrite, 7, 1), .from_host = data}).is(nvme::status::kInternalPathError));
  slow.finish_all();
}

TEST_P(NextAssociationOfThree, DoesNotWaitForAnotherPathOfItsHost) {
  start_next();
  target.until([&] { return answer.has_value(); });
  EXPECT_TRUE(answered().ok());
  EXPECT_FALSE(admin.connection().is_closed());
}

TEST_P(Ending, DisablingTheControllerClosesItsIoQueuesAndNotTheAdminQueue) {
  EXPECT_TRUE(admin.property_set(nvme::property::kCc, 0).decoded_status().ok());
  target.until([&] { return io->connection().is_detached(); });
  EXPECT_EQ(csts() & 1, 0u);
  EXPECT_FALSE(admin.connection().is_closed());
  admin.enable();
  TestQueue again{target};
  EXPECT_TRUE(again.connect({.cntlid = cntlid, .qid = 1}).decoded_status().ok());
}

TEST_P(Ending, EnablingDuringAResetTakesEffectWhenTheResetIsOver) {
  std::optional<nvme::Cqe> running;
  io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, running);  // keeps the I/O queue from going
  EXPECT_TRUE(admin.property_set(nvme::property::kCc, 0).decoded_status().ok());
  EXPECT_TRUE(admin.property_set(nvme::property::kCc, TestQueue::kCcEnabled).decoded_status().ok());
  target.turn();
  slow.finish_all();
  target.until([&] { return io->connection().is_detached(); });
  for (int i = 0; i < 10; ++i) target.turn();
  EXPECT_EQ(csts() & 1, 1u);
  TestQueue again{target};
  EXPECT_TRUE(again.connect({.cntlid = cntlid, .qid = 1}).decoded_status().ok());
}

TEST_P(Ending, AResetWaitsForWhatADeviceHasAndIsBoundedInTime) {
  std::optional<nvme::Cqe> stuck;
  io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, stuck);
  EXPECT_TRUE(admin.property_set(nvme::property::kCc, 0).decoded_status().ok());
  target.pass(milliseconds(target.target().limits().shutdown_ms - 500));
  EXPECT_EQ(csts() & nvme::Csts::kRdy, uint32_t{nvme::Csts::kRdy});
  target.pass(milliseconds(1000));
  EXPECT_EQ(csts() & nvme::Csts::kRdy, 0u);
  EXPECT_FALSE(stuck);
  admin.enable();
  TestQueue again{target};
  EXPECT_TRUE(again.connect({.cntlid = cntlid, .qid = 1}).decoded_status().ok());
}

TEST_P(Ending, ShutdownIsReportedWhenTheIoQueuesAreGoneAndTheCachesAreFlushed) {
  EXPECT_TRUE(admin.property_set(nvme::property::kCc, TestQueue::kCcEnabled | 1 << 14).decoded_status().ok());
  target.until([&] { return io->connection().is_detached() && slow.ios.size() == 1; });
  EXPECT_EQ(slow.ios.front()->op, bdev::Op::kFlush);
  EXPECT_EQ(csts() & nvme::Csts::kShstMask, uint32_t{nvme::Csts::kShstOccurring});
  slow.finish_all();
  EXPECT_EQ(csts() & nvme::Csts::kShstMask, uint32_t{nvme::Csts::kShstComplete});
}

TEST_P(Ending, AHostThatGoesDuringItsShutdownsFlushLeavesNothingBehind) {
  EXPECT_TRUE(admin.property_set(nvme::property::kCc, TestQueue::kCcEnabled | 1 << 14).decoded_status().ok());
  target.until([&] { return slow.ios.size() == 1; });
  admin.connection().disconnect();
  target.until([&] { return admin.connection().is_detached(); });
  slow.finish_all();
}

TEST_P(Ending, SubsystemResetReachesEveryController) {
  TestQueue other{target};
  other.connect_and_enable({.hostnqn = "nqn.2014-08.org.nvmexpress:uuid:other"});
  EXPECT_TRUE(admin.property_set(nvme::property::kNssr, nvme::property::kNssrMagic).decoded_status().ok());
  target.until([&] { return io->connection().is_detached(); });
  EXPECT_EQ(other.property_get(nvme::property::kCsts).dw0, uint32_t{nvme::Csts::kNssro});
  EXPECT_EQ(admin.property_get(nvme::property::kCsts).dw0, uint32_t{nvme::Csts::kNssro});
}

}  // namespace
}  // namespace weft::loop
