// The production driver and its block device on the simulated controller: what it does when nothing goes wrong, and on each way that something can.
#include "sim/nvme_rig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using testing_support::NvmeRig;
using testing_support::NvmeRigOptions;
using ::testing::HasSubstr;

/// Works, checks what is there, and shuts down.
void work_and_end(NvmeRig& rig, uint64_t commands) {
  rig.work(commands);
  if (rig.found().empty()) rig.read_back();
  if (rig.found().empty()) rig.stop();
}

const nvme::ControllerCounters& counters(NvmeRig& rig) { return rig.process->controller().counters(); }

class NvmeDriver : public ::testing::Test {
 protected:
  NvmeRig& make(const NvmeRigOptions& options = {}) {
    rig_ = std::make_unique<NvmeRig>(options);
    rig_->start();
    EXPECT_EQ(rig_->found(), "");
    return *rig_;
  }
  std::unique_ptr<NvmeRig> rig_;
};

TEST_F(NvmeDriver, ComesUpWorksAndShutsDown) {
  NvmeRig& rig = make();
  ASSERT_TRUE(rig.process->started()->has_value());
  EXPECT_EQ(rig.process->controller().facts().serial, "SIM0001");
  EXPECT_EQ(rig.process->info().medium_id, "uuid.ab000000000000000000000000000001");
  rig.work(40);
  rig.read_back();
  EXPECT_EQ(counters(rig).resets.value() + counters(rig).aborts.value(), 0u);
  rig.stop();
  EXPECT_EQ(rig.found(), "");
  EXPECT_EQ(rig.device.counts().isolations, 0u);
  EXPECT_EQ(rig.disk.outstanding(), 0u);
}

TEST_F(NvmeDriver, AControllerThatIsNeverReadyIsGivenUpWithWords) {
  NvmeRig rig({});
  rig.device.set_faults({.never_ready = 100});
  rig.start_process();
  ASSERT_EQ(rig.found(), "");
  ASSERT_FALSE(rig.process->started()->has_value());
  EXPECT_THAT(std::string(rig.process->started()->error().what()), HasSubstr("CSTS stays 0x00000000 for 2000 ms"));
  rig.stop();
  EXPECT_EQ(rig.found(), "");
}

TEST_F(NvmeDriver, ALostCompletionIsAbortedForAndThenItsQueueDeletedButNothingReset) {
  NvmeRig& rig = make({.seed = 3});
  rig.volume.expect(ErrorKind::kTimeout);  // what becomes of a write is not known
  rig.device.set_faults({.completion_lost_one_in = 100});
  rig.work(60);
  EXPECT_EQ(rig.found(), "");
  EXPECT_GT(rig.device.counts().lost, 0u);
  EXPECT_GT(counters(rig).aborts.value(), 0u);
  EXPECT_GT(counters(rig).queue_deletions.value(), 0u);
  EXPECT_EQ(counters(rig).resets.value(), 0u);
  rig.device.set_faults({});
  work_and_end(rig, 50);
  EXPECT_EQ(rig.found(), "");
}

struct Misbehaviour {
  const char* name;
  NvmeFaults faults;
};

class NvmeReset : public ::testing::TestWithParam<Misbehaviour> {};

TEST_P(NvmeReset, IsWhatFollowsAndTheWorkGoesOn) {
  NvmeRig rig({.seed = 5, .reactors = 2});
  rig.start();
  rig.volume.expect(ErrorKind::kTimeout);  // whom it hits every time is told so
  rig.device.set_faults(GetParam().faults);
  rig.work(80);
  ASSERT_EQ(rig.found(), "");
  EXPECT_GT(counters(rig).resets.value(), 0u);
  rig.device.set_faults({});
  work_and_end(rig, 50);
  EXPECT_EQ(rig.found(), "");
}

INSTANTIATE_TEST_SUITE_P(NvmeDriver, NvmeReset,
                         ::testing::Values(Misbehaviour{"WrongCid", {.wrong_cid_one_in = 300}}, Misbehaviour{"WrongSqhd", {.wrong_sqhd_one_in = 300}},
                                           Misbehaviour{"Twice", {.twice_one_in = 100}}, Misbehaviour{"Fatal", {.fatal_one_in = 300}}),
                         [](const auto& each) { return each.param.name; });

TEST_F(NvmeDriver, ADeviceThatIsPulledFailsItsCommandsSoonAndServesTheNextProcess) {
  NvmeRig& rig = make({.seed = 7, .reactors = 2});
  rig.work(50);
  rig.volume.expect(ErrorKind::kTimeout);
  rig.begin(100);
  rig.let_pass(milliseconds(2));
  const Instant pulled = rig.agenda.now();
  rig.disk.remove();
  rig.finish();
  EXPECT_EQ(rig.found(), "");
  EXPECT_LT(rig.agenda.now() - pulled, seconds(3));
  EXPECT_EQ(rig.process->controller().state(), nvme::Controller::State::kFailed);
  rig.stop();
  ASSERT_EQ(rig.found(), "");
  rig.volume.power_cut();  // its cache went with it
  rig.disk.heal();
  rig.start();
  rig.volume.expect_no_more(ErrorKind::kTimeout);
  work_and_end(rig, 50);
  EXPECT_EQ(rig.found(), "");
}

TEST_F(NvmeDriver, AnOrderlyEndLeavesNothingInTheCache) {
  NvmeRig& rig = make({.seed = 21});
  rig.work(200);
  rig.stop();
  rig.power_off();
  EXPECT_EQ(rig.disk.blocks().unsynced(), 0u);
  rig.start();
  rig.read_back();
  rig.stop();
  EXPECT_EQ(rig.found(), "");
}

TEST_F(NvmeDriver, WhatWasFlushedOrStableSurvivesAPowerCut) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    NvmeRig& rig = make({.seed = seed});
    for (int cut = 0; cut < 2; ++cut) {
      rig.begin(300);
      rig.let_pass(milliseconds(1 + int64_t(seed)));
      rig.power_cut();
      rig.start();
    }
    rig.read_back();
    EXPECT_EQ(rig.found(), "") << "seed " << seed;
    rig.stop();
  }
}

}  // namespace
}  // namespace weft::sim
