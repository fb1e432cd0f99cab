// The checkers that listen to the wire monitor: each rule broken, and kept.
#include "sim/checkers/association_checker.h"
#include "sim/checkers/keep_alive_checker.h"
#include "sim/checkers/limits_checker.h"
#include "sim/checkers/test_support.h"
#include "wire/nvme/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit
using ::testing::HasSubstr;

constexpr LineOptions kAdmin{.qid = 0, .sqsize = 31};
constexpr LineOptions kTimed{.qid = 0, .sqsize = 31, .kato_ms = 4000};

class WireListeners : public ::testing::Test {
 protected:
  WireListeners() {
    watched.watch.add(keep_alive);
    watched.watch.add(associations);
    watched.watch.add(limits);
    limits.set(0, target_limits());
  }
  static Limits target_limits() {
    Limits small;
    small.queue_entries = 8;
    small.io_queues = 2;
    small.data_transfer_bytes = 4096;
    small.in_capsule_bytes = 512;
    small.maxh2cdata_bytes = kMaxh2cdata;
    small.connections = 5;
    small.connections_per_peer = 4;
    small.controllers = 2;
    return small;
  }
  /// The target says that it ends controller 5.
  void expire(Line& line) {
    keep_alive.on_log(0,
                      fmt::format("controller 5 of {}: nothing was heard of host x for 1 ms: the association ends",
                                  tcp::testing::kSubsystemNqn),
                      line.now);
  }
  void check(Line& line) {
    keep_alive.check(line.now);
    associations.check(line.now);
  }

  Watched watched;
  KeepAliveChecker keep_alive{watched.referee};
  AssociationChecker associations{watched.referee};
  LimitsChecker limits{watched.referee};
};

// --- keep-alive -----------------------------------------------------------------------------------------------------

TEST_F(WireListeners, KeepAliveMayEndAnAssociationAfterOneAndAQuarterOfSilence) {
  Line admin(watched, kTimed);
  admin.open();
  admin.now = admin.now + seconds(5);
  expire(admin);
  EXPECT_EQ(watched.finding(), "");
}

TEST_F(WireListeners, KeepAliveMayNotEndAnAssociationEarlier) {
  Line admin(watched, kTimed);
  admin.open();
  admin.now = admin.now + milliseconds(4999);
  expire(admin);
  EXPECT_THAT(watched.finding(),
              HasSubstr("keep-alive: connection 1 of machine 1 to 10.0.0.1:4420, controller 5 queue 0: early"));
}

TEST_F(WireListeners, ACommandReceivedHoldsKeepAliveOff) {
  Line admin(watched, kTimed);
  admin.open();
  admin.now = admin.now + seconds(4);
  admin.host(admin.capsule(Line::admin(nvme::AdminOpcode::kAsyncEventRequest, 1)));
  admin.now = admin.now + seconds(4);
  expire(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("early: ended after 4000 ms"));
}

TEST_F(WireListeners, ACompletionSentOnAnyQueueHoldsKeepAliveOff) {
  Line admin(watched, kTimed);
  admin.open();
  Line io(watched, {});
  io.open();
  io.host(io.flush(1));
  io.now = io.now + seconds(4);
  io.target(io.response(1));
  admin.now = io.now + seconds(4);
  expire(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("early: ended after 4000 ms"));
}

/// A response that earlier bytes held up may have been ready long ago: the controller counts from then.
TEST_F(WireListeners, ACompletionThatHadToWaitCountsFromItsCommand) {
  Line admin(watched, kTimed);
  admin.open();
  admin.host(admin.capsule(Line::admin(nvme::AdminOpcode::kKeepAlive, 1)));
  admin.host(admin.capsule(Line::admin(nvme::AdminOpcode::kKeepAlive, 2)));
  admin.sent(Side::kTarget, admin.response(1));
  admin.now = admin.now + seconds(4);
  admin.sent(Side::kTarget, admin.response(2));
  admin.now = admin.now + seconds(2);
  expire(admin);
  EXPECT_EQ(watched.finding(), "");
}

TEST_F(WireListeners, KeepAliveMustEndAnAssociationAfterOneAndAHalfOfSilence) {
  Line admin(watched, kTimed);
  admin.open();
  admin.now = admin.now + seconds(6);
  check(admin);
  EXPECT_EQ(watched.finding(), "");
  admin.now = admin.now + milliseconds(1);
  check(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("late: still there after 6001 ms of silence, KATO is 4000 ms"));
}

// Seed 1145: a link was held, a response stuck in the middle, and behind it one that told of an event.
TEST_F(WireListeners, WhatTheHostDoesNotTakeMayHideACompletion) {
  Line admin(watched, kTimed);
  admin.open();
  admin.host(admin.capsule(Line::admin(nvme::AdminOpcode::kKeepAlive, 1)));
  admin.sent(Side::kTarget, admin.response(1));
  admin.now = admin.now + seconds(9);
  check(admin);
  EXPECT_EQ(watched.finding(), "");
  admin.now = admin.now + milliseconds(101);  // 3.1 s and 6 s
  check(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("late"));
}

// Seed 4 of worlds with NVMe devices: a port was down, so the last responses of a subsystem that was removed did not leave.
TEST_F(WireListeners, AnAssociationThatHasEndedOtherwiseMayLingerButNotForGood) {
  Line admin(watched, kTimed);
  admin.open();
  admin.now = admin.now + milliseconds(5500);
  keep_alive.on_log(0, fmt::format("controller 5 of {}: host nqn.x: the association ends: subsystem removed", tcp::testing::kSubsystemNqn), admin.now);
  admin.now = admin.now + seconds(1);
  check(admin);
  EXPECT_EQ(watched.finding(), "");
  admin.now = admin.now + seconds(1);
  check(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("late"));
}

TEST_F(WireListeners, AnAssociationThatHasExpiredMayNotLinger) {
  Line admin(watched, kTimed);
  admin.open();
  admin.now = admin.now + milliseconds(5500);
  keep_alive.on_log(0, fmt::format("controller 5 of {}: host nqn.x: the association ends: keep-alive expired", tcp::testing::kSubsystemNqn), admin.now);
  admin.now = admin.now + seconds(1);
  check(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("late"));
}

TEST_F(WireListeners, DataThatComesHoldsNothingOff) {
  Line admin(watched, kTimed);
  admin.open();
  Line io(watched, {});
  io.open();
  io.host(io.write(7, 8));
  io.target(io.r2t(7, 1, 0, 4096));
  io.now = io.now + seconds(5);
  io.host(io.h2c(7, 1, 0, 4096, kLast));
  admin.now = io.now + seconds(2);
  check(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("late"));
}

TEST_F(WireListeners, ACommandMayHaveEndedWithoutAResponseThatLeft) {
  Line admin(watched, kTimed);
  admin.open();
  Line io(watched, {});
  io.open();
  io.host(io.flush(1));
  io.now = io.now + seconds(4);
  io.close();
  admin.now = io.now + seconds(6);
  check(admin);
  EXPECT_EQ(watched.finding(), "");
  admin.now = admin.now + milliseconds(1);
  check(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("late"));
}

TEST_F(WireListeners, AStalledTargetMayBeLate) {
  Line admin(watched, kTimed);
  admin.open();
  admin.now = admin.now + seconds(7);
  keep_alive.on_stall(0, admin.now);
  check(admin);
  EXPECT_EQ(watched.finding(), "");
  admin.now = admin.now + seconds(1);
  check(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("late"));
}

TEST_F(WireListeners, AClosedAssociationIsNotLate) {
  Line admin(watched, kTimed);
  admin.open();
  admin.close();
  admin.now = admin.now + seconds(60);
  check(admin);
  EXPECT_EQ(watched.finding(), "");
}

TEST_F(WireListeners, WithoutKatoNoAssociationEndsForSilence) {
  Line admin(watched, kAdmin);
  admin.open();
  admin.now = admin.now + seconds(600);
  check(admin);
  EXPECT_EQ(watched.finding(), "");
  expire(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("but KATO is 0"));
}

TEST_F(WireListeners, SetFeaturesChangesKato) {
  Line admin(watched, kAdmin);
  admin.open();
  nvme::Sqe sqe = Line::admin(nvme::AdminOpcode::kSetFeatures, 1);
  sqe.cdw10 = uint32_t(nvme::Feature::kKeepAliveTimer);
  sqe.cdw11 = 1500u;  // rounded up to 2 s
  admin.host(admin.capsule(sqe));
  admin.target(admin.response(1, {}, 2000));
  admin.now = admin.now + milliseconds(3001);
  check(admin);
  EXPECT_THAT(watched.finding(), HasSubstr("late: still there after 3001 ms of silence, KATO is 2000 ms"));
}

TEST_F(WireListeners, AShutdownStopsKeepAlive) {
  Line admin(watched, kTimed);
  admin.open();
  admin.host(tcp::testing::property_set(1, 0x14, 0x00464001, {}));
  admin.now = admin.now + seconds(60);
  check(admin);
  EXPECT_EQ(watched.finding(), "");
}

// --- associations ---------------------------------------------------------------------------------------------------

TEST_F(WireListeners, IoQueuesGoWithTheirAdminQueue) {
  Line admin(watched, kAdmin);
  admin.open();
  Line io(watched, {});
  io.open();
  admin.close();
  admin.now = admin.now + seconds(1);
  check(admin);
  EXPECT_EQ(watched.finding(), "");
  admin.now = admin.now + milliseconds(1);
  check(admin);
  EXPECT_THAT(
      watched.finding(),
      HasSubstr("association: connection 2 of machine 1 to 10.0.0.1:4420, controller 5 queue 1: still open 1001 ms"));
}

TEST_F(WireListeners, IoQueuesThatAreClosedInTimeAreAllRight) {
  Line admin(watched, kAdmin);
  admin.open();
  Line io(watched, {});
  io.open();
  admin.close();
  io.close();
  admin.now = admin.now + seconds(60);
  check(admin);
  EXPECT_EQ(watched.finding(), "");
}

TEST_F(WireListeners, AControllerIdIsFreeWhenItsQueuesAreClosed) {
  Line first(watched, kAdmin);
  first.open();
  first.close();
  Line second(watched, kAdmin);
  second.open();
  EXPECT_EQ(watched.finding(), "");
  Line third(watched, kAdmin);
  third.open();
  EXPECT_THAT(watched.finding(), HasSubstr("its controller ID is in use"));
}

TEST_F(WireListeners, AControllerIdIsInUseWhileAnIoQueueIsOpen) {
  Line first(watched, kAdmin);
  first.open();
  Line io(watched, {});
  io.open();
  first.close();
  Line second(watched, kAdmin);
  second.open();
  EXPECT_THAT(watched.finding(), HasSubstr("its controller ID is in use: connection 2"));
}

TEST_F(WireListeners, IoQueuesJoinWhatIsThere) {
  Line io(watched, {});
  io.open();
  EXPECT_THAT(watched.finding(), HasSubstr("joins an association that is not there"));
}

TEST_F(WireListeners, AnAnswerToConnectMayComeWithTheEndOfTheAssociation) {
  Line admin(watched, kAdmin);
  admin.open();
  admin.close();
  Line io(watched, {});
  io.open();
  io.close();
  EXPECT_EQ(watched.finding(), "");
}

TEST_F(WireListeners, NoQueueJoinsAnAssociationThatIsLongGone) {
  Line admin(watched, kAdmin);
  admin.open();
  admin.close();
  admin.now = admin.now + seconds(2);
  check(admin);
  Line io(watched, {});
  io.now = admin.now;
  io.open();
  EXPECT_THAT(watched.finding(), HasSubstr("joins an association that is not there"));
}

TEST_F(WireListeners, EachIoQueueHasAnIdOfItsOwn) {
  Line admin(watched, kAdmin);
  admin.open();
  Line one(watched, {.qid = 1});
  one.open();
  Line two(watched, {.qid = 2});
  two.open();
  EXPECT_EQ(watched.finding(), "");
  Line again(watched, {.qid = 2});
  again.open();
  EXPECT_THAT(watched.finding(), HasSubstr("has the same queue ID"));
}

// --- limits ---------------------------------------------------------------------------------------------------------

TEST_F(WireListeners, QueuesHaveAtMostSoManyEntries) {
  Line admin(watched, kAdmin);
  admin.open();
  Line most(watched, {.qid = 1, .sqsize = 7});
  most.open();
  EXPECT_EQ(watched.finding(), "");
  Line more(watched, {.qid = 2, .sqsize = 8});
  more.open();
  EXPECT_THAT(watched.finding(), HasSubstr("limits: "));
  EXPECT_THAT(watched.finding(), HasSubstr("9 entries granted, the limit is 8"));
}

TEST_F(WireListeners, QueueIdsEndWhereTheLimitIs) {
  Line admin(watched, kAdmin);
  admin.open();
  Line third(watched, {.qid = 3});
  third.open();
  EXPECT_THAT(watched.finding(), HasSubstr("queue ID 3 granted, the limit is 2"));
}

class QueuesGranted : public WireListeners {
 protected:
  std::string outcome(uint32_t result) {
    Line admin(watched, kAdmin);
    admin.open();
    nvme::Sqe sqe = Line::admin(nvme::AdminOpcode::kSetFeatures, 1);
    sqe.cdw10 = uint32_t(nvme::Feature::kNumberOfQueues);
    sqe.cdw11 = 0x00030003u;
    admin.host(admin.capsule(sqe));
    admin.target(admin.response(1, {}, result));
    return watched.finding();
  }
};
TEST_F(QueuesGranted, AreAtMostTheLimit) { EXPECT_EQ(outcome(0x00010001), ""); }
TEST_F(QueuesGranted, AreNotMore) {
  EXPECT_THAT(outcome(0x00020001), HasSubstr("3 I/O queues granted, the limit is 2"));
}

TEST_F(WireListeners, MdtsBoundsWhatIsAskedForAndWhatSucceeds) {
  Line admin(watched, kAdmin);
  admin.open();
  Line io(watched, {});
  io.open();
  io.host(io.write(1, 8));
  io.target(io.r2t(1, 1, 0, 4096));
  EXPECT_EQ(watched.finding(), "");
  io.host(io.write(2, 9));
  io.target(io.r2t(2, 2, 0, 4608));
  EXPECT_THAT(watched.finding(), HasSubstr("an R2T for 4608 bytes, MDTS is 4096"));
}

TEST_F(WireListeners, HostsKeepToTheInCapsuleLimit) {
  Line admin(watched, kAdmin);
  admin.open();
  Line io(watched, {});
  io.open();
  io.host(io.write_in_capsule(1, 1));
  EXPECT_EQ(watched.finding(), "");
  io.host(io.write_in_capsule(2, 2));
  EXPECT_THAT(watched.finding(), HasSubstr("the host sends 1024 bytes in a capsule, the limit is 512"));
}

TEST_F(WireListeners, ThereAreAtMostSoManyControllers) {
  Line one(watched, {.qid = 0, .cntlid = 1});
  one.open();
  Line two(watched, {.qid = 0, .cntlid = 2});
  two.open();
  two.close();
  Line three(watched, {.qid = 0, .cntlid = 3});
  three.open();
  EXPECT_EQ(watched.finding(), "");
  Line four(watched, {.qid = 0, .cntlid = 4});
  four.open();
  EXPECT_THAT(watched.finding(), HasSubstr("3 controllers of one subsystem, the limit is 2"));
}

TEST_F(WireListeners, ThereAreAtMostSoManyConnections) {
  Line lines[] = {{watched, {}}, {watched, {}}, {watched, {}}, {watched, {}}};
  for (Line& line : lines) line.shake_hands();
  EXPECT_EQ(watched.finding(), "");
  Line one_more(watched, {});
  one_more.shake_hands();
  EXPECT_THAT(watched.finding(), HasSubstr("5 connections of one peer, the limit is 4"));
}

TEST_F(WireListeners, Maxh2cdataIsWithinTheLimit) {
  Line line(watched, {});
  line.host(line.ic_req());
  line.target(line.edited(line.ic_resp(), 13, 0x20));
  EXPECT_THAT(watched.finding(), HasSubstr("MAXH2CDATA 8192, the limit is 4096"));
}

}  // namespace
}  // namespace weft::sim
