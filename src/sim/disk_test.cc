// What a simulated disk does while nothing crashes: operations, faults, lent memory.
#include "sim/disk.h"

#include "sim/disk_test_support.h"

#include <algorithm>
#include <deque>

namespace weft::sim {
namespace {

using namespace testing_support;
using media::Kind;

class DiskBehaviour : public DiskTest {};

TEST_F(DiskBehaviour, ReadsWhatWasWrittenAndCostsOnlyThat) {
  make_disk({}, {.name = "big", .size_bytes = 400ull << 20});
  EXPECT_EQ(run(Kind::kWrite, 300ull << 20, 2 * kBlock, 'x'), int32_t(2 * kBlock));
  TestOperation read{Kind::kRead, (300ull << 20) + kBlock, 2 * kBlock};
  EXPECT_EQ(run(read), int32_t(2 * kBlock));
  EXPECT_TRUE(
      std::ranges::all_of(std::span{read.bytes}.first(kBlock), [](std::byte b) { return b == std::byte{'x'}; }));
  EXPECT_TRUE(std::ranges::all_of(std::span{read.bytes}.last(kBlock), [](std::byte b) { return b == std::byte{0}; }));
  EXPECT_EQ(disk_->blocks().stored(), 2u);
}

TEST_F(DiskBehaviour, PartsOfABlockAreWrittenAndZeroed) {
  make_disk();
  run(Kind::kWrite, 0, kBlock, 'a');
  run(Kind::kWrite, 512, 1024, 'b');
  run(Kind::kZero, 2048, 512);
  EXPECT_EQ(contents(8, 512), "abba0aaa");
}

TEST_F(DiskBehaviour, NothingHappensBeforeTheFlushAndWhatIsReadyWakesTheReactor) {
  make_disk();
  TestOperation write{Kind::kWrite, 0, kBlock, 'x'};
  queue_->submit(write.operation);
  EXPECT_EQ(agenda_.next(), Instant::never());
  reactor_.run_once();
  while (agenda_.step()) {
  }
  EXPECT_EQ(clock_.wakes, 1);
  EXPECT_FALSE(write.result.has_value());
  EXPECT_EQ(disk_->outstanding(), 1u);
  EXPECT_EQ(reactor_.run_once(), Reactor::Turn::kWorked);
  EXPECT_EQ(write.result, int32_t(kBlock));
  EXPECT_EQ(disk_->outstanding(), 0u);
}

TEST_F(DiskBehaviour, OverlappingWritesMixByBlockAndNeverWithinOne) {
  bool was_mixed = false;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    make_disk({}, {.name = "disk"}, seed);
    TestOperation a{Kind::kWrite, 0, 16 * kBlock, 'a'};
    TestOperation b{Kind::kWrite, 0, 16 * kBlock, 'b'};
    submit(a);
    submit(b);
    settle();
    const std::string blocks = contents(16);
    EXPECT_EQ(blocks.find_first_not_of("ab"), std::string::npos) << blocks;
    was_mixed = was_mixed || blocks.find_first_not_of(blocks[0]) != std::string::npos;
  }
  EXPECT_TRUE(was_mixed);
}

TEST_F(DiskBehaviour, InOrderMeansInOrder) {
  make_disk({.reorders = false});
  std::deque<TestOperation> writes;
  for (int i = 0; i < 20; ++i) writes.emplace_back(Kind::kWrite, 0, kBlock, char('a' + i));
  for (TestOperation& write : writes) queue_->submit(write.operation);
  reactor_.run_once();
  for (size_t done = 0; agenda_.step(); ++done) {
    EXPECT_EQ(contents(1)[0], char('a' + done));
  }
  settle();
}

TEST_F(DiskBehaviour, ShortTransfersSayHowMuchAndDoNoMore) {
  make_disk({.short_one_in = 1});
  for (int i = 0; i < 20; ++i) {
    const int32_t result = run(Kind::kWrite, uint64_t(i) * kBlock, kBlock, 'x');
    ASSERT_GT(result, 0);
    ASSERT_LT(result, int32_t(kBlock));
    ASSERT_EQ(result % 512, 0);
    std::vector<std::byte> bytes(kBlock);
    disk_->blocks().read(uint64_t(i) * kBlock, bytes, {});
    EXPECT_EQ(std::ranges::count(bytes, std::byte{'x'}), result);
  }
}

TEST_F(DiskBehaviour, BadRangesFailUntilToldOtherwise) {
  DiskOptions options;
  options.bad_ranges = {{8 * kBlock, kBlock}};
  make_disk(options);
  EXPECT_EQ(run(Kind::kRead, 7 * kBlock, kBlock), int32_t(kBlock));
  EXPECT_EQ(run(Kind::kRead, 7 * kBlock, 2 * kBlock), -EIO);
  EXPECT_EQ(run(Kind::kWrite, 8 * kBlock, 512), -EIO);
  EXPECT_EQ(run(Kind::kSync, 0, 0), 0);
  disk_->heal();
  EXPECT_EQ(run(Kind::kRead, 7 * kBlock, 2 * kBlock), int32_t(2 * kBlock));
}

TEST_F(DiskBehaviour, WhatItCannotDoHasNoEffect) {
  DiskOptions options;
  options.is_unsupported[size_t(Kind::kZero)] = true;
  make_disk(options);
  run(Kind::kWrite, 0, kBlock, 'x');
  EXPECT_EQ(run(Kind::kZero, 0, kBlock), -EOPNOTSUPP);
  EXPECT_EQ(contents(1), "x");
}

TEST_F(DiskBehaviour, MisalignedAndOutOfRangeIsRefusedAsTheKernelDoes) {
  make_disk();
  EXPECT_EQ(run(Kind::kWrite, 100, 512), -EINVAL);
  EXPECT_EQ(run(Kind::kWrite, disk_->shape().size_bytes, 512), -ENOSPC);
  EXPECT_EQ(run(Kind::kRead, disk_->shape().size_bytes - 512, 1024), 512);
  EXPECT_EQ(run(Kind::kRead, disk_->shape().size_bytes, 512), 0);
}

TEST_F(DiskBehaviour, ALostOperationComesBackOnlyWhenGivenBack) {
  make_disk({.lost_one_in = 1});
  TestOperation write{Kind::kWrite, 0, kBlock, 'x'};
  submit(write);
  settle();
  EXPECT_FALSE(write.result.has_value());
  EXPECT_EQ(disk_->lost(), 1u);
  disk_->give_back_lost();
  settle();
  EXPECT_EQ(write.result, int32_t(kBlock));
  EXPECT_EQ(contents(1), "x");
}

TEST_F(DiskBehaviour, TheEffectOfALostWriteMayComeOverNewerData) {
  bool has_come_late = false;
  for (uint64_t seed = 1; seed <= 20 && !has_come_late; ++seed) {
    make_disk({.lost_one_in = 1}, {.name = "disk"}, seed);
    TestOperation write{Kind::kWrite, 0, kBlock, 'x'};
    submit(write);
    settle();
    disk_->set_options({});
    run(Kind::kWrite, 0, kBlock, 'y');
    disk_->give_back_lost();
    settle();
    has_come_late = contents(1) == "x";
  }
  EXPECT_TRUE(has_come_late);
}

TEST_F(DiskBehaviour, AHungDiskAnswersWhenItResumes) {
  make_disk();
  disk_->hang();
  TestOperation write{Kind::kWrite, 0, kBlock, 'x'};
  submit(write);
  settle();
  EXPECT_FALSE(write.result.has_value());
  disk_->resume();
  settle();
  EXPECT_EQ(write.result, int32_t(kBlock));
}

TEST_F(DiskBehaviour, ARemovedDiskFailsEverythingForWhoHadItAndIsBackForWhoOpensItAgain) {
  make_disk();
  run(Kind::kWrite, 0, kBlock, 'x');
  run(Kind::kSync, 0, 0);
  disk_->hang();
  TestOperation write{Kind::kWrite, 0, kBlock, 'y'};
  submit(write);
  settle();
  disk_->remove();
  settle();
  ASSERT_TRUE(write.result.has_value());
  EXPECT_TRUE(*write.result == -EIO || *write.result == -ENODEV);
  EXPECT_TRUE(queue_->has_vanished());
  disk_->heal();
  EXPECT_TRUE(queue_->has_vanished());
  EXPECT_LT(run(Kind::kRead, 0, kBlock), 0);
  open();
  EXPECT_FALSE(queue_->has_vanished());
  EXPECT_EQ(run(Kind::kRead, 0, kBlock), int32_t(kBlock));
}

TEST_F(DiskBehaviour, DataThatChangesWhileItIsWrittenIsAFinding) {
  for (const bool is_late : {false, true}) {
    make_disk();
    referee_ = {};
    TestOperation write{Kind::kWrite, 0, kBlock, 'x'};
    submit(write);
    while (is_late && agenda_.step()) {
    }
    write.bytes[17] = std::byte{'y'};
    settle();
    ASSERT_TRUE(referee_.finding().has_value());
    EXPECT_EQ(referee_.finding()->checker, "buffer-ownership");
    EXPECT_NE(referee_.finding()->what.find("byte 17 "), std::string::npos) << referee_.finding()->what;
  }
}

TEST_F(DiskBehaviour, WritingWhereAReadWillLandIsAFinding) {
  make_disk();
  TestOperation read{Kind::kRead, 0, kBlock};
  submit(read);
  read.bytes[0] = std::byte{'y'};
  settle();
  ASSERT_TRUE(referee_.finding().has_value());
  EXPECT_EQ(referee_.finding()->checker, "buffer-ownership");
}

TEST_F(DiskBehaviour, MemoryThatIsLeftAloneIsNoFinding) {
  make_disk({.short_one_in = 3, .error_one_in = 5, .lost_one_in = 7});
  Prng random{3};
  std::vector<std::unique_ptr<TestOperation>> operations;
  for (int i = 0; i < 500; ++i) {
    const auto kind = Kind(random.below(7));
    const auto length = kind == Kind::kSync ? 0 : uint32_t(512 * (1 + random.below(40)));
    operations.push_back(std::make_unique<TestOperation>(kind, 512 * random.below(100), length, char('a' + i % 26)));
    submit(*operations.back());
  }
  settle();
  disk_->heal();
  settle();
  EXPECT_FALSE(referee_.finding().has_value()) << referee_.finding()->what;
  for (const auto& operation : operations) EXPECT_TRUE(operation->result.has_value());
  EXPECT_EQ(disk_->outstanding(), 0u);
}

TEST_F(DiskBehaviour, TheSameSeedGivesTheSameRun) {
  struct Run {
    Duration time;
    std::string contents;
    bool operator==(const Run&) const = default;
  };
  const auto run_of = [this](uint64_t seed) {
    make_disk({.short_one_in = 3, .error_one_in = 5}, {.name = "disk"}, seed);
    const Instant start = agenda_.now();
    for (int i = 0; i < 50; ++i) run(Kind::kWrite, uint64_t(i) * 512, 20 * 512, char('a' + i % 26));
    return Run{agenda_.now() - start, contents(60, 512)};
  };
  EXPECT_EQ(run_of(1), run_of(1));
  EXPECT_NE(run_of(1).time, run_of(2).time);
  EXPECT_NE(run_of(1).contents, run_of(2).contents);
}

}  // namespace
}  // namespace weft::sim
