// What of a simulated disk's contents is left when a process dies, the power is cut or a sync fails.
#include "sim/disk_test_support.h"

#include <set>

namespace weft::sim {
namespace {

using namespace testing_support;
using media::Kind;

class DiskCrash : public DiskTest {
 protected:
  /// The contents of `count` blocks after `prepare` and then `crash`, for many seeds.
  template <typename P, typename C>
  std::set<std::string> outcomes(uint64_t count, P prepare, C crash, const DiskShape& shape = {.name = "disk"}) {
    std::set<std::string> seen;
    for (uint64_t seed = 1; seed <= 200; ++seed) {
      make_disk({}, shape, seed);
      prepare();
      crash();
      seen.insert(contents(count));
    }
    return seen;
  }
  std::set<std::string> after_power_cut(uint64_t count, auto prepare, const DiskShape& shape = {.name = "disk"}) {
    return outcomes(count, prepare, [this] { disk_->power_cut(); }, shape);
  }
};

using Outcomes = std::set<std::string>;

TEST_F(DiskCrash, APowerCutKeepsWhatWasSyncedAndDrawsTheRestBlockByBlock) {
  EXPECT_EQ(after_power_cut(3,
                            [this] {
                              run(Kind::kWrite, 0, 3 * kBlock, 'a');
                              run(Kind::kSync, 0, 0);
                              run(Kind::kWrite, kBlock, 2 * kBlock, 'b');
                            }),
            (Outcomes{"aaa", "aba", "aab", "abb"}));
}

TEST_F(DiskCrash, ABlockKeepsAnyValueSinceTheLastSync) {
  EXPECT_EQ(after_power_cut(1,
                            [this] {
                              run(Kind::kWrite, 0, kBlock, 'a');
                              run(Kind::kWrite, 0, kBlock, 'b');
                              run(Kind::kZero, 0, kBlock);
                              run(Kind::kWrite, 0, kBlock, 'c');
                            }),
            (Outcomes{"a", "b", "0", "c"}));
}

TEST_F(DiskCrash, AWriteTearsAtPhysicalBlocksOnly) {
  const auto write_one = [this] { run(Kind::kWrite, 0, kBlock, 'a'); };
  EXPECT_EQ(after_power_cut(1, write_one), (Outcomes{"0", "a"}));
  EXPECT_TRUE(after_power_cut(1, write_one, {.name = "small blocks", .physical_block_bytes = 512}).contains("?"));
}

TEST_F(DiskCrash, AWriteThatIsNeverTornIsThereAsAWholeOrNotAtAllOrUnderANewerOne) {
  EXPECT_EQ(after_power_cut(3,
                            [this] {
                              run(Kind::kWrite, 0, 2 * kBlock, 'a');
                              run(Kind::kWrite, kBlock, 2 * kBlock, 'b');
                            },
                            {.name = "atomic", .atomic_bytes = 2 * kBlock}),
            (Outcomes{"000", "aa0", "0bb", "abb"}));
}

TEST_F(DiskCrash, AWriteThatIsNeverTornIsOverAsAWholeWhenItsProcessDies) {
  TestOperation write{Kind::kWrite, 0, 3 * kBlock, 'a'};
  const auto seen = outcomes(3, [&] { submit(write); }, [this] { disk_->process_died(); }, {.name = "atomic", .atomic_bytes = 3 * kBlock});
  EXPECT_EQ(seen, (Outcomes{"000", "aaa"}));
  settle();
}

TEST_F(DiskCrash, AStableWriteIsThereAndCoversOnlyItself) {
  EXPECT_EQ(after_power_cut(2,
                            [this] {
                              run(Kind::kWrite, kBlock, kBlock, 'a');
                              run(Kind::kWriteStable, 0, kBlock, 'b');
                            }),
            (Outcomes{"b0", "ba"}));
}

TEST_F(DiskCrash, WithoutACacheWhatIsDoneIsStable) {
  EXPECT_EQ(
      after_power_cut(1, [this] { run(Kind::kWrite, 0, kBlock, 'a'); }, {.name = "plp", .has_volatile_cache = false}),
      (Outcomes{"a"}));
}

TEST_F(DiskCrash, ASyncNeedNotCoverAWriteThatWasNotDoneWhenItWasSubmitted) {
  EXPECT_EQ(after_power_cut(1,
                            [this] {
                              TestOperation write{Kind::kWrite, 0, kBlock, 'a'};
                              TestOperation sync{Kind::kSync, 0, 0};
                              submit(write);
                              submit(sync);
                              settle();
                              EXPECT_EQ(sync.result, 0);
                            }),
            (Outcomes{"0", "a"}));
}

TEST_F(DiskCrash, AnOutstandingWriteTakesEffectInPartOrNotWhenItsProcessDies) {
  TestOperation write{Kind::kWrite, 0, 3 * kBlock, 'a'};
  const auto seen = outcomes(3, [&] { submit(write); }, [this] { disk_->process_died(); });
  EXPECT_TRUE(seen.contains("000"));
  EXPECT_TRUE(seen.contains("aaa"));
  EXPECT_GT(seen.size(), 2u);
  settle();
  EXPECT_FALSE(write.result.has_value());
  EXPECT_EQ(disk_->outstanding(), 0u);
}

TEST_F(DiskCrash, TheCacheOutlivesTheProcessAndTheNextOnesSyncCoversIt) {
  EXPECT_EQ(
      outcomes(1, [this] { run(Kind::kWrite, 0, kBlock, 'a'); }, [this] { disk_->process_died(); }), (Outcomes{"a"}));
  EXPECT_EQ(after_power_cut(1,
                            [this] {
                              run(Kind::kWrite, 0, kBlock, 'a');
                              disk_->process_died();
                              open();
                              run(Kind::kSync, 0, 0);
                            }),
            (Outcomes{"a"}));
}

TEST_F(DiskCrash, TheMemoryOfADeadProcessIsNotTouched) {
  make_disk();
  auto read = std::make_unique<TestOperation>(Kind::kRead, 0, kBlock);
  auto write = std::make_unique<TestOperation>(Kind::kWrite, 0, kBlock, 'x');
  submit(*read);
  submit(*write);
  disk_->process_died();
  read.reset();  // the sanitizer would see a later access
  write.reset();
  settle();
  EXPECT_FALSE(referee_.finding().has_value());
}

TEST_F(DiskCrash, AfterAFailedSyncNoneSucceedsUntilTheDiskIsOpenedAnewWithoutWhatWasUnsynced) {
  EXPECT_EQ(outcomes(
                2,
                [this] {
                  run(Kind::kWrite, 0, 2 * kBlock, 'a');
                  DiskOptions options;
                  options.sync_error_one_in = 1;
                  disk_->set_options(options);
                  EXPECT_EQ(run(Kind::kSync, 0, 0), -EIO);
                  disk_->heal();
                  EXPECT_EQ(run(Kind::kSync, 0, 0), -EIO);
                  EXPECT_EQ(contents(2), "aa");
                  open();
                  EXPECT_EQ(disk_->blocks().unsynced(), 0u);
                },
                [this] { EXPECT_EQ(run(Kind::kSync, 0, 0), 0); }),
            (Outcomes{"00", "0a", "a0", "aa"}));
}

TEST_F(DiskCrash, AfterAPowerCutNothingIsUnsynced) {
  make_disk();
  run(Kind::kWrite, 0, 16 * kBlock, 'a');
  EXPECT_EQ(disk_->blocks().unsynced(), 16u);
  disk_->power_cut();
  EXPECT_EQ(disk_->blocks().unsynced(), 0u);
  const std::string left = contents(16);
  disk_->power_cut();
  EXPECT_EQ(contents(16), left);
}

TEST_F(DiskCrash, AnOftenWrittenBlockDoesNotGrow) {
  make_disk();
  for (int i = 0; i < 100; ++i) run(Kind::kWrite, 0, kBlock, char('a' + i % 20));
  EXPECT_EQ(disk_->blocks().unsynced(), 1u);
  disk_->power_cut();
  EXPECT_NE(std::string("qrst").find(contents(1)), std::string::npos);
}

}  // namespace
}  // namespace weft::sim
