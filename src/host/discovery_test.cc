#include "host/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/fake_target.h"
#include "wire/text_field.h"

namespace weft::host {
namespace {

using testing_support::FakeTarget;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Hook = FakeTarget::Hook;

class DiscoveryTest : public ::testing::Test {
 protected:
  DiscoveryTest() {
    target.identity.cntrltype = uint8_t(nvme::ControllerType::kDiscovery);
    const auto connected = FakeTarget::run(reactor, clock, controller.connect());
    EXPECT_TRUE(connected && *connected);
    target.steps.clear();
  }
  void set_records(size_t count) {
    target.discovery.assign(count, {});
    for (size_t i = 0; i < count; ++i) set_nul_padded(target.discovery[i].subnqn, fmt::format("nqn.{}", i));
  }
  Result<DiscoveryLog> read() {
    auto log = FakeTarget::run(reactor, clock, read_discovery_log(controller));
    return log ? std::move(*log) : fail(Errc::kTimedOut, "did not end");
  }

  weft::testing_support::ManualClock clock;
  weft::testing_support::NullSink sink;
  Reactor reactor{{}, clock, sink};
  FakeTarget target{reactor};
  Controller controller{reactor, target, {.endpoint = {.host = "::1", .port = 8009}, .subnqn = fabrics::kDiscoveryNqn, .host = {}, .digests = {}, .keep_alive = Duration{}}};
};

TEST_F(DiscoveryTest, ReadsHeaderEntriesInPiecesAndHeaderAgain) {
  set_records(6);
  const auto log = read();
  ASSERT_TRUE(log) << log.error().what();
  ASSERT_EQ(log->entries.size(), 6u);
  EXPECT_EQ(text_of(log->entries[5].subnqn), "nqn.5");
  EXPECT_THAT(target.steps, ElementsAre("log 0+20", "log 1024+4096", "log 5120+2048", "log 0+20"));
}

TEST_F(DiscoveryTest, AnEmptyLogIsALog) {
  const auto log = read();
  ASSERT_TRUE(log);
  EXPECT_TRUE(log->entries.empty());
}

TEST_F(DiscoveryTest, ReadsAgainWhenTheLogChangedMeanwhile) {
  set_records(1);
  int reads = 0;
  target.hook = [&](uint16_t, Command& command, nvme::Cqe&) {
    if (command.sqe.opcode == 0x02 && ++reads == 2) {  // between header and header
      set_records(5);
      ++target.genctr;
    }
    return Hook::kPass;
  };
  const auto log = read();
  ASSERT_TRUE(log);
  EXPECT_EQ(log->entries.size(), 5u);
  EXPECT_EQ(log->genctr, 2u);
  EXPECT_EQ(text_of(log->entries[4].subnqn), "nqn.4");
}

TEST_F(DiscoveryTest, GivesUpOnALogThatNeverRests) {
  set_records(1);
  target.hook = [&](uint16_t, Command&, nvme::Cqe&) { return ++target.genctr, Hook::kPass; };
  EXPECT_THAT(read().error().what(), HasSubstr("changed during each of 10 attempts"));
}

TEST_F(DiscoveryTest, ANumberOfRecordsThatChangesAloneIsAnError) {
  set_records(1);
  int reads = 0;
  target.hook = [&](uint16_t, Command& command, nvme::Cqe&) {
    if (command.sqe.opcode == 0x02 && ++reads == 3) set_records(2);
    return Hook::kPass;
  };
  EXPECT_THAT(read().error().what(), HasSubstr("records went from 1 to 2"));
}

TEST_F(DiscoveryTest, DoesNotAllocateForAnAbsurdNumberOfRecords) {
  target.hook = [&](uint16_t, Command& command, nvme::Cqe&) {
    if (command.sqe.opcode != 0x02) return Hook::kPass;
    fabrics::DiscoveryLogHeader header{};
    header.numrec = uint64_t{1} << 60;
    std::memcpy(command.in.data(), &header, command.in.size());
    return Hook::kAnswered;
  };
  EXPECT_THAT(read().error().what(), HasSubstr("1152921504606846976 records are more than 16384"));
}

}  // namespace
}  // namespace weft::host
