// UringBdev on a scripted medium: what it does when the medium works in parts, errs, or cannot do something.
#include "bdev/uring/uring_bdev.h"

#include "bdev/test_support.h"
#include "core/test_support.h"
#include "media/memory_medium.h"

namespace weft::bdev {
namespace {

using namespace testing_support;
using media::Kind;

constexpr uint32_t kBlock = 512;
constexpr uint64_t kBlocks = 200'000;  // 98 MiB: more than one piece of zeroing

class UringBdevTest : public ::testing::Test {
 protected:
  UringBdevTest() { script_.bytes.resize(kBlocks * kBlock); }

  void open(bool discarded_reads_zero = true) {
    Info info{.name = "test", .block_count = kBlocks, .block_size = kBlock};
    info.deallocated_reads_zero = discarded_reads_zero;
    device_ = std::make_unique<UringBdev<media::MemoryMedium>>(std::make_unique<media::MemoryMedium>(script_), info, memory_);
    channel_ = std::move(device_->open_channel(reactor_).value());
  }
  nvme::Status run(Op op, uint64_t block, uint64_t count, std::span<std::byte> data = {}) {
    return execute(reactor_, *channel_, op, block, count, data);
  }
  nvme::Status run(TestIo& io) { return execute(reactor_, *channel_, io); }

  weft::testing_support::ManualClock clock_;
  weft::testing_support::NullSink sink_;
  weft::testing_support::HeapMemory memory_;
  Reactor reactor_{{}, clock_, sink_};
  media::MemoryScript script_;
  std::unique_ptr<Bdev> device_;
  std::unique_ptr<Channel> channel_;
};

TEST_F(UringBdevTest, ShortTransfersAreContinued) {
  open();
  AlignedBytes data{8 * kBlock};
  stamp(data.bytes(), 5, kBlock, 1);
  script_.results = {100, 512, 1};
  EXPECT_TRUE(run(Op::kWrite, 5, 8, data.bytes()).ok());
  EXPECT_TRUE(is_stamped({script_.bytes.data() + 5 * kBlock, 8 * kBlock}, 5, kBlock, 1));
  AlignedBytes back{8 * kBlock};
  script_.results = {1, 2000, 300};
  EXPECT_TRUE(run(Op::kRead, 5, 8, back.bytes()).ok());
  EXPECT_TRUE(is_stamped(back.bytes(), 5, kBlock, 1));
}

TEST_F(UringBdevTest, AShortTransferInsideAnAlignmentUnitIsTakenUpAtTheUnit) {
  script_.alignment = {.memory = 512, .offset = 512};
  open();
  AlignedBytes data{8 * kBlock};
  stamp(data.bytes(), 0, kBlock, 2);
  script_.results = {700, 1023};
  EXPECT_TRUE(run(Op::kWrite, 0, 8, data.bytes()).ok());
  EXPECT_TRUE(is_stamped({script_.bytes.data(), 8 * kBlock}, 0, kBlock, 2));
}

TEST_F(UringBdevTest, TryAgainIsTriedAgainButNotForEver) {
  open();
  AlignedBytes data{kBlock};
  script_.results = {-EAGAIN, -EINTR, -EAGAIN};
  EXPECT_TRUE(run(Op::kWrite, 0, 1, data.bytes()).ok());
  script_.results.assign(1000, -EAGAIN);
  EXPECT_EQ(run(Op::kWrite, 0, 1, data.bytes()), nvme::status::kInternalError);
}

TEST_F(UringBdevTest, ErrorsBecomeStatuses) {
  open();
  struct Row {
    Op op;
    int error_number;
    nvme::Status expected;
  };
  const Row rows[] = {
      {Op::kRead, EIO, nvme::status::kUnrecoveredReadError.with_dnr()},
      {Op::kWrite, EIO, nvme::status::kWriteFault.with_dnr()},
      {Op::kFlush, EIO, nvme::status::kWriteFault.with_dnr()},
      {Op::kWriteZeroes, EIO, nvme::status::kWriteFault.with_dnr()},
      {Op::kRead, ENODATA, nvme::status::kUnrecoveredReadError.with_dnr()},
      {Op::kWrite, ENOSPC, nvme::status::kCapacityExceeded},
      {Op::kWrite, EDQUOT, nvme::status::kCapacityExceeded},
      {Op::kWrite, EROFS, nvme::status::kNamespaceWriteProtected.with_dnr()},
      {Op::kRead, ENODEV, nvme::status::kInternalPathError},
      {Op::kWrite, ENXIO, nvme::status::kInternalPathError},
      {Op::kWrite, ENOMEM, nvme::status::kInternalError},
  };
  AlignedBytes data{kBlock};
  for (const Row& row : rows) {
    script_.results = {-row.error_number};
    EXPECT_EQ(run(row.op, 0, 1, data.bytes()), row.expected) << "op " << int(row.op) << " errno " << row.error_number;
  }
}

TEST_F(UringBdevTest, WhatAnNvmeMediumSaysIsWhatTheHostIsTold) {
  open();
  AlignedBytes data{kBlock};
  const struct {
    Op op;
    nvme::Status said, expected;
  } rows[] = {
      {Op::kRead, nvme::status::kUnrecoveredReadError.with_dnr().with_more(), nvme::status::kUnrecoveredReadError.with_dnr()},
      {Op::kWrite, nvme::status::kCapacityExceeded, nvme::status::kCapacityExceeded},
      {Op::kWrite, nvme::status::kAbortedByHost, nvme::status::kInternalPathError},
      {Op::kFlush, nvme::status::kInvalidField.with_dnr(), nvme::status::kInternalError.with_dnr()},
  };
  for (const auto& row : rows) {
    script_.status = row.said;
    EXPECT_EQ(run(row.op, 0, 1, data.bytes()), row.expected) << "op " << int(row.op);
    EXPECT_TRUE(run(row.op, 0, 1, data.bytes()).ok()) << "the next one is not meant";
  }
}

TEST_F(UringBdevTest, AStableNvmeWriteThatFailsTellsOfItsOwnBlocksOnly) {
  open();
  AlignedBytes data{kBlock};
  TestIo io{Op::kWrite, 0, 1, data.bytes()};
  io.durability = Durability::kStable;
  script_.status = nvme::status::kWriteFault;
  EXPECT_EQ(run(io), nvme::status::kWriteFault);
  EXPECT_FALSE(io.has_sync_failed);
}

TEST_F(UringBdevTest, NothingIsLongerThanTheMediumTakes) {
  script_.lengths = {.transfer = 8 * kBlock, .zero = 16 * kBlock, .discard = 32 * kBlock};
  const struct {
    Op op;
    size_t offset;  // of the data, from an aligned address
    size_t operations;
    uint32_t length;
  } rows[] = {
      {Op::kWrite, 0, 13, 8 * kBlock},      {Op::kRead, 0, 13, 8 * kBlock}, {Op::kWrite, 1, 13, 8 * kBlock}, {Op::kRead, 1, 13, 8 * kBlock},
      {Op::kWriteZeroes, 0, 7, 16 * kBlock}, {Op::kDeallocate, 0, 4, 32 * kBlock},
  };
  script_.alignment = {.memory = 4, .offset = kBlock};
  open();
  for (const auto& row : rows) {
    SCOPED_TRACE(&row - rows);
    AlignedBytes data{100 * kBlock, row.offset};
    if (row.op == Op::kWrite) stamp(data.bytes(), 3, kBlock, 1);
    script_.seen.clear();
    script_.length_max = 0;
    EXPECT_TRUE(run(row.op, 3, 100, data.bytes()).ok());
    EXPECT_EQ(script_.seen.size(), row.operations);
    EXPECT_EQ(script_.length_max, row.length);
    if (row.op == Op::kWrite || row.op == Op::kRead) {
      EXPECT_TRUE(is_stamped({script_.bytes.data() + 3 * kBlock, 100 * kBlock}, 3, kBlock, 1));
      EXPECT_TRUE(is_stamped(data.bytes(), 3, kBlock, 1));
    } else {
      EXPECT_TRUE(is_zero({script_.bytes.data() + 3 * kBlock, 100 * kBlock}));
    }
  }
}

TEST_F(UringBdevTest, WhereTheMediumHasNoZeroingZeroesAreWrittenFromTheStart) {
  script_.lengths.zero = 0;
  open();
  std::memset(script_.bytes.data(), 0xaa, script_.bytes.size());
  TestIo io{Op::kWriteZeroes, 3, 300, {}};
  io.durability = Durability::kStable;
  EXPECT_TRUE(run(io).ok());
  EXPECT_EQ(script_.seen, (std::vector{Kind::kWrite, Kind::kWrite, Kind::kSync}));
  EXPECT_TRUE(is_zero({script_.bytes.data() + 3 * kBlock, 300 * kBlock}));
  EXPECT_EQ(script_.bytes[303 * kBlock], std::byte{0xaa});
}

TEST_F(UringBdevTest, AMediumThatEndsEarlyIsAnError) {
  open();
  AlignedBytes data{kBlock};
  script_.results = {0};
  EXPECT_EQ(run(Op::kRead, 0, 1, data.bytes()), nvme::status::kUnrecoveredReadError.with_dnr());
}

TEST_F(UringBdevTest, AVanishedMediumFailsEverythingWithoutBeingAsked) {
  open();
  AlignedBytes data{kBlock};
  script_.has_vanished = true;
  script_.results = {-EIO};
  EXPECT_EQ(run(Op::kRead, 0, 1, data.bytes()), nvme::status::kInternalPathError);
  const size_t asked = script_.seen.size();
  EXPECT_EQ(run(Op::kWrite, 0, 1, data.bytes()), nvme::status::kInternalPathError);
  EXPECT_EQ(script_.seen.size(), asked);
}

TEST_F(UringBdevTest, AStableWriteIsOneStableWrite) {
  open();
  AlignedBytes data{kBlock};
  TestIo io{Op::kWrite, 0, 1, data.bytes()};
  io.durability = Durability::kStable;
  EXPECT_TRUE(run(io).ok());
  EXPECT_EQ(script_.seen, std::vector{Kind::kWriteStable});
}

TEST_F(UringBdevTest, WithoutStableWritesAStableWriteIsAWriteAndASync) {
  open();
  script_.is_unsupported[size_t(Kind::kWriteStable)] = true;
  AlignedBytes data{kBlock};
  for (int i = 0; i < 2; ++i) {
    TestIo io{Op::kWrite, 0, 1, data.bytes()};
    io.durability = Durability::kStable;
    EXPECT_TRUE(run(io).ok());
  }
  EXPECT_EQ(script_.seen, (std::vector{Kind::kWriteStable, Kind::kWrite, Kind::kSync, Kind::kWrite, Kind::kSync}));
}

TEST_F(UringBdevTest, AFailedSyncBehindAStableWriteFailsTheWrite) {
  open();
  script_.is_unsupported[size_t(Kind::kWriteStable)] = true;
  AlignedBytes data{kBlock};
  TestIo warm_up{Op::kWrite, 0, 1, data.bytes()};
  warm_up.durability = Durability::kStable;
  EXPECT_TRUE(run(warm_up).ok());
  script_.results = {512, -EIO};
  TestIo io{Op::kWrite, 0, 1, data.bytes()};
  io.durability = Durability::kStable;
  EXPECT_EQ(run(io), nvme::status::kWriteFault.with_dnr());
}

TEST_F(UringBdevTest, ZeroingGoesInPieces) {
  open();
  std::memset(script_.bytes.data(), 0xaa, script_.bytes.size());
  EXPECT_TRUE(run(Op::kWriteZeroes, 1, kBlocks - 2).ok());
  EXPECT_EQ(script_.seen.size(), 4u);
  EXPECT_LE(script_.length_max, 32u << 20);
  EXPECT_TRUE(is_zero({script_.bytes.data() + kBlock, (kBlocks - 2) * kBlock}));
  EXPECT_EQ(script_.bytes[kBlock - 1], std::byte{0xaa});
  EXPECT_EQ(script_.bytes[(kBlocks - 1) * kBlock], std::byte{0xaa});
}

TEST_F(UringBdevTest, ZeroingFindsAnotherWayWhereTheMediumCannot) {
  open();
  std::memset(script_.bytes.data(), 0xaa, script_.bytes.size());
  script_.is_unsupported[size_t(Kind::kZeroDeallocate)] = true;
  script_.is_unsupported[size_t(Kind::kZero)] = true;
  TestIo io{Op::kWriteZeroes, 3, 1000, {}};
  io.zeroing = Zeroing::kMayDeallocate;
  io.durability = Durability::kStable;
  EXPECT_TRUE(run(io).ok());
  EXPECT_TRUE(is_zero({script_.bytes.data() + 3 * kBlock, 1000 * kBlock}));
  EXPECT_EQ(script_.bytes[1003 * kBlock], std::byte{0xaa});
  EXPECT_EQ(script_.seen, (std::vector{Kind::kZeroDeallocate, Kind::kZero, Kind::kWrite, Kind::kWrite, Kind::kWrite, Kind::kWrite,
                                       Kind::kSync}));
}

TEST_F(UringBdevTest, ADiscardThatIsNotKnownIsAHintNotTaken) {
  open(false);
  std::memset(script_.bytes.data(), 0xaa, script_.bytes.size());
  script_.is_unsupported[size_t(Kind::kDiscard)] = true;
  EXPECT_TRUE(run(Op::kDeallocate, 0, 8).ok());
  EXPECT_EQ(script_.bytes[0], std::byte{0xaa});
}

TEST_F(UringBdevTest, ADiscardThatIsNotKnownStillZeroesWhereZeroesWerePromised) {
  open(true);
  std::memset(script_.bytes.data(), 0xaa, script_.bytes.size());
  script_.is_unsupported[size_t(Kind::kDiscard)] = true;
  EXPECT_TRUE(run(Op::kDeallocate, 0, 8).ok());
  EXPECT_TRUE(is_zero({script_.bytes.data(), 8 * kBlock}));
}

TEST_F(UringBdevTest, UnalignedDataBouncesAndMoreThanThereAreBuffersWaits) {
  script_.alignment = {.memory = 512, .offset = 512};
  open();
  constexpr size_t kCount = 3 * BounceBuffers::kCount;
  constexpr uint64_t kEach = 600;  // blocks: three pieces each
  std::vector<AlignedBytes> written, read;
  std::vector<std::unique_ptr<TestIo>> ios;
  for (size_t i = 0; i < kCount; ++i) {
    written.emplace_back(kEach * kBlock, 8);
    read.emplace_back(kEach * kBlock, 8);
  }
  for (size_t i = 0; i < kCount; ++i) {
    stamp(written[i].bytes(), i * kEach, kBlock, 7);
    ios.push_back(std::make_unique<TestIo>(Op::kWrite, i * kEach, kEach, written[i].bytes()));
  }
  for (auto& io : ios) channel_->submit(*io);
  run_until(reactor_, [&] { return std::ranges::all_of(ios, [](auto& io) { return io->result.has_value(); }); });
  for (size_t i = 0; i < kCount; ++i) EXPECT_TRUE(run(Op::kRead, i * kEach, kEach, read[i].bytes()).ok());
  for (size_t i = 0; i < kCount; ++i) EXPECT_TRUE(is_stamped(read[i].bytes(), i * kEach, kBlock, 7)) << i;
}

TEST_F(UringBdevTest, AStableWriteSaysWhenItsSyncMayHaveFailed) {
  open();
  const struct {
    bool has_stable_writes;
    Durability durability;
    std::deque<int32_t> results;
    bool has_sync_failed;
  } rows[] = {
      {true, Durability::kStable, {-EIO}, true},            // which half of it cannot be known
      {true, Durability::kStable, {-ENOSPC}, false},        // nothing was written
      {true, Durability::kCached, {-EIO}, false},
      {false, Durability::kStable, {-EIO}, false},          // the write
      {false, Durability::kStable, {kBlock, -EIO}, true},   // the sync behind it
  };
  AlignedBytes data{kBlock};
  for (const auto& row : rows) {
    SCOPED_TRACE(&row - rows);
    channel_.reset();
    open();
    script_.is_unsupported[size_t(Kind::kWriteStable)] = !row.has_stable_writes;
    script_.results = row.results;
    TestIo io{Op::kWrite, 0, 1, data.bytes()};
    io.durability = row.durability;
    EXPECT_FALSE(run(io).ok());
    EXPECT_EQ(io.has_sync_failed, row.has_sync_failed);
  }
}

TEST_F(UringBdevTest, BlocksThatTheMediumHasGrownByAreAvailable) {
  open();
  EXPECT_EQ(device_->blocks_available().value(), kBlocks);
  script_.bytes.resize((kBlocks + 10) * kBlock);
  EXPECT_EQ(device_->blocks_available().value(), kBlocks + 10);
  AlignedBytes data{kBlock};
  EXPECT_TRUE(run(Op::kWrite, kBlocks + 9, 1, data.bytes()).ok());
}

}  // namespace
}  // namespace weft::bdev
