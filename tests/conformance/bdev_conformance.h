// What every block device promises (src/bdev/bdev.h, src/bdev/io.h), asked of every kind through its Environment. Who
// adds a kind writes one, and instantiates the suites that it is to pass with a Kind.
#pragma once
#include "base/prng.h"
#include "bdev/test_support.h"
#include "core/test_support.h"

#include <algorithm>
#include <concepts>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace weft::conformance {

using namespace bdev::testing_support;
using bdev::Op;

constexpr uint64_t kSizeBytes = 64 << 20;

/// What a device is made of and from. Dies after the device and before the reactor.
class Environment {
 public:
  virtual ~Environment() = default;
  /// Called first: on `reactor` the device will be used.
  virtual void begin(Reactor& reactor) { (void)reactor; }
  virtual Result<std::unique_ptr<bdev::Bdev>> make_device(uint32_t block_size) = 0;
  /// Of such a device.
  virtual uint64_t size_bytes() const { return kSizeBytes; }
  /// What passes for the timers of the reactor in one cycle.
  virtual Duration cycle_time() const { return milliseconds(1); }
  /// Called once for each cycle of the reactor.
  virtual void let_time_pass() {}
  virtual void destroy(std::unique_ptr<bdev::Bdev> device) { device.reset(); }
  /// The device and its channels on `reactor` have gone. What they left is to be tidied up.
  virtual void end(Reactor& reactor) { (void)reactor; }

 protected:
  testing_support::HeapMemory memory_;
};

/// One whose devices need nothing but memory.
using MakeDevice = std::function<Result<std::unique_ptr<bdev::Bdev>>(MemorySource& memory, uint32_t block_size)>;
class PlainEnvironment final : public Environment {
 public:
  explicit PlainEnvironment(MakeDevice make) : make_(std::move(make)) {}
  Result<std::unique_ptr<bdev::Bdev>> make_device(uint32_t block_size) override { return make_(memory_, block_size); }

 private:
  MakeDevice make_;
};

struct Kind {
  std::string name;
  uint32_t block_size;
  std::function<std::unique_ptr<Environment>()> make_environment;
};

/// Each with both sizes of blocks.
inline std::vector<Kind> with_block_sizes(const std::vector<Kind>& kinds) {
  std::vector<Kind> result;
  for (const Kind& kind : kinds) {
    for (const uint32_t size : {512u, 4096u})
      result.push_back({kind.name + std::to_string(size), size, kind.make_environment});
  }
  return result;
}

inline std::string name_of(const ::testing::TestParamInfo<Kind>& info) { return info.param.name; }

class BdevConformance : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    environment_ = GetParam().make_environment();
    environment_->begin(reactor_);
    auto device = environment_->make_device(GetParam().block_size);
    ASSERT_TRUE(device.has_value()) << device.error().what();
    device_ = std::move(*device);
    auto channel = device_->open_channel(reactor_);
    ASSERT_TRUE(channel.has_value()) << channel.error().what();
    channel_ = std::move(*channel);
  }
  void TearDown() override {
    channel_.reset();
    environment_->destroy(std::move(device_));
    environment_->end(reactor_);
    environment_.reset();  // before the reactor, which it may have pollers on
  }

  uint32_t block_size() const { return device_->info().block_size; }
  uint64_t last_block() const { return device_->info().block_count - 1; }
  template <std::predicate F>
  void wait_until(F is_done) {
    run_until(reactor_, [&] {
      clock_.advance(environment_->cycle_time());
      environment_->let_time_pass();
      return is_done();
    });
  }
  nvme::Status run(TestIo& io) {
    channel_->submit(io);
    wait_until([&] { return io.result.has_value(); });
    return io.result.value_or(nvme::status::kInternalError);
  }
  nvme::Status run(Op op, uint64_t block, uint64_t count, std::span<std::byte> data = {}) {
    TestIo io{op, block, count, data};
    return run(io);
  }
  void write_stamped(uint64_t block, uint64_t count, uint64_t seed) {
    AlignedBytes data{count * block_size()};
    stamp(data.bytes(), block, block_size(), seed);
    ASSERT_TRUE(run(Op::kWrite, block, count, data.bytes()).ok());
  }
  void expect_stamped(uint64_t block, uint64_t count, uint64_t seed) {
    AlignedBytes data{count * block_size()};
    ASSERT_TRUE(run(Op::kRead, block, count, data.bytes()).ok());
    EXPECT_TRUE(is_stamped(data.bytes(), block, block_size(), seed)) << "block " << block << " count " << count;
  }
  void expect_zero(uint64_t block, uint64_t count) {
    AlignedBytes data{count * block_size()};
    std::memset(data.bytes().data(), 0xff, data.bytes().size());
    ASSERT_TRUE(run(Op::kRead, block, count, data.bytes()).ok());
    EXPECT_TRUE(is_zero(data.bytes())) << "block " << block << " count " << count;
  }

  testing_support::ManualClock clock_;
  testing_support::NullSink sink_;
  Reactor reactor_{{}, clock_, sink_};
  std::unique_ptr<Environment> environment_;
  std::unique_ptr<bdev::Bdev> device_;
  std::unique_ptr<bdev::Channel> channel_;
};

/// Those that keep what is written.
class StorageConformance : public BdevConformance {};

/// Those whose blocks are memory that can be touched from here.
class MemoryConformance : public BdevConformance {};

TEST_P(BdevConformance, SaysWhatItIs) {
  const bdev::Info& info = device_->info();
  EXPECT_EQ(info.block_size, GetParam().block_size);
  EXPECT_EQ(info.block_count * info.block_size, environment_->size_bytes());
  EXPECT_GT(info.preferred_blocks, 0u);
  EXPECT_GE(info.atomicity.power_fail_blocks, 1u);
  EXPECT_GE(info.atomicity.blocks, info.atomicity.power_fail_blocks);
  EXPECT_FALSE(info.is_read_only);
}

TEST_P(BdevConformance, ANewDeviceReadsZeroesFromTheFirstBlockToTheLast) {
  expect_zero(0, 1);
  expect_zero(last_block(), 1);
  expect_zero(7, 100);
}

TEST_P(BdevConformance, EveryOperationIsAnsweredOnce) {
  AlignedBytes data{block_size()};
  EXPECT_TRUE(run(Op::kWrite, 0, 1, data.bytes()).ok());
  EXPECT_TRUE(run(Op::kRead, 0, 1, data.bytes()).ok());
  EXPECT_TRUE(run(Op::kFlush, 0, 0).ok());
  EXPECT_TRUE(run(Op::kWriteZeroes, 0, 1).ok());
  EXPECT_TRUE(run(Op::kDeallocate, 0, 1).ok());
  for (int i = 0; i < 10; ++i) reactor_.run_once();  // a second answer would fail in TestIo
}

TEST_P(StorageConformance, ReadsBackWhatWasWritten) {
  write_stamped(0, 1, 1);
  write_stamped(1, 7, 2);
  write_stamped(8, 256, 3);
  write_stamped(last_block(), 1, 4);
  expect_stamped(0, 1, 1);
  expect_stamped(1, 7, 2);
  expect_stamped(8, 256, 3);
  expect_stamped(last_block(), 1, 4);
}

TEST_P(StorageConformance, AOneMebibyteTransferAtTheEndIsWhole) {
  const uint64_t count = (1 << 20) / block_size();
  write_stamped(last_block() + 1 - count, count, 5);
  expect_stamped(last_block() + 1 - count, count, 5);
}

TEST_P(StorageConformance, DataMayLieAtAnyAddress) {
  for (const size_t offset : {1u, 4u, 511u, 512u}) {
    AlignedBytes data{9 * block_size(), offset};
    stamp(data.bytes(), 3, block_size(), offset);
    EXPECT_TRUE(run(Op::kWrite, 3, 9, data.bytes()).ok());
    AlignedBytes back{9 * block_size(), offset + 3};
    EXPECT_TRUE(run(Op::kRead, 3, 9, back.bytes()).ok());
    EXPECT_TRUE(is_stamped(back.bytes(), 3, block_size(), offset));
  }
}

TEST_P(StorageConformance, AStableWriteReadsBack) {
  AlignedBytes data{4 * block_size()};
  stamp(data.bytes(), 20, block_size(), 6);
  TestIo io{Op::kWrite, 20, 4, data.bytes()};
  io.durability = bdev::Durability::kStable;
  EXPECT_TRUE(run(io).ok());
  expect_stamped(20, 4, 6);
}

TEST_P(StorageConformance, WriteZeroesZeroesItsBlocksAndNoOthers) {
  for (const auto zeroing : {bdev::Zeroing::kKeepAllocated, bdev::Zeroing::kMayDeallocate}) {
    for (const auto durability : {bdev::Durability::kCached, bdev::Durability::kStable}) {
      write_stamped(10, 30, 7);
      TestIo io{Op::kWriteZeroes, 11, 28, {}};
      io.zeroing = zeroing;
      io.durability = durability;
      EXPECT_TRUE(run(io).ok());
      expect_stamped(10, 1, 7);
      expect_zero(11, 28);
    }
  }
  AlignedBytes last{block_size()};
  ASSERT_TRUE(run(Op::kRead, 39, 1, last.bytes()).ok());
  AlignedBytes expected{30 * block_size()};
  stamp(expected.bytes(), 10, block_size(), 7);
  EXPECT_TRUE(std::ranges::equal(last.bytes(), expected.bytes().last(block_size())));
}

TEST_P(StorageConformance, ACompareFindsADifferenceInAnyOfItsBlocks) {
  if (!channel_->takes(Op::kCompare)) GTEST_SKIP() << "not this device's own";
  const uint64_t count = (1 << 20) / block_size() + 3;
  for (const size_t offset : {0u, 4u, 1u}) {
    AlignedBytes data{count * block_size(), offset};
    stamp(data.bytes(), 5, block_size(), 30);
    ASSERT_TRUE(run(Op::kWrite, 5, count, data.bytes()).ok());
    EXPECT_TRUE(run(Op::kCompare, 5, count, data.bytes()).ok());
    for (const size_t at : {size_t{0}, data.bytes().size() / 2, data.bytes().size() - 1}) {
      data.bytes()[at] ^= std::byte{1};
      EXPECT_TRUE(run(Op::kCompare, 5, count, data.bytes()).is(nvme::status::kCompareFailure)) << "byte " << at << " offset " << offset;
      data.bytes()[at] ^= std::byte{1};
    }
  }
  expect_stamped(5, count, 30);
}

TEST_P(StorageConformance, AVerifyOfBlocksThatCanBeReadSucceeds) {
  if (!channel_->takes(Op::kVerify)) GTEST_SKIP() << "not this device's own";
  write_stamped(0, 64, 31);
  EXPECT_TRUE(run(Op::kVerify, 0, 1).ok());
  EXPECT_TRUE(run(Op::kVerify, 0, (4 << 20) / block_size() + 1).ok());
  EXPECT_TRUE(run(Op::kVerify, last_block(), 1).ok());
  expect_stamped(0, 64, 31);
}

TEST_P(StorageConformance, ACopyMovesItsBlocksAndWritesNoOthers) {
  if (!channel_->takes(Op::kCopy)) GTEST_SKIP() << "not this device's own";
  const uint64_t count = (1 << 20) / block_size() + 3;
  const uint64_t target = last_block() - count;
  AlignedBytes data{count * block_size()}, back{count * block_size()};
  for (const auto durability : {bdev::Durability::kCached, bdev::Durability::kStable}) {
    const uint64_t seed = 32 + uint64_t(durability);
    write_stamped(target - 1, 1, seed);
    write_stamped(last_block(), 1, seed);
    stamp(data.bytes(), 7, block_size(), seed);
    ASSERT_TRUE(run(Op::kWrite, 7, count, data.bytes()).ok());
    TestIo copy{Op::kCopy, target, count, {}};
    copy.source = 7;
    copy.durability = durability;
    EXPECT_TRUE(run(copy).ok());
    ASSERT_TRUE(run(Op::kRead, target, count, back.bytes()).ok());
    EXPECT_TRUE(std::ranges::equal(back.bytes(), data.bytes()));
    expect_stamped(7, count, seed);
    expect_stamped(target - 1, 1, seed);
    expect_stamped(last_block(), 1, seed);
  }
}

TEST_P(StorageConformance, AVeryLargeRangeIsZeroed) {
  write_stamped(0, 1, 8);
  write_stamped(last_block() / 2, 8, 8);
  write_stamped(last_block() - 1, 1, 8);
  EXPECT_TRUE(run(Op::kWriteZeroes, 0, last_block()).ok());
  expect_zero(0, 1);
  expect_zero(last_block() / 2, 8);
  expect_zero(last_block() - 1, 1);
}

TEST_P(StorageConformance, DeallocatedBlocksReadZeroWhereThatIsSaid) {
  ASSERT_TRUE(device_->info().deallocated_reads_zero);
  write_stamped(100, 64, 9);
  EXPECT_TRUE(run(Op::kDeallocate, 101, 62).ok());
  expect_zero(101, 62);
  expect_stamped(100, 1, 9);
}

TEST_P(StorageConformance, ManyOutstandingWritesAllArrive) {
  constexpr size_t kCount = 3000;
  AlignedBytes data{kCount * block_size()};
  stamp(data.bytes(), 0, block_size(), 10);
  std::vector<std::unique_ptr<TestIo>> ios;
  for (size_t i = 0; i < kCount; ++i) {
    ios.push_back(std::make_unique<TestIo>(Op::kWrite, i, 1, data.bytes().subspan(i * block_size(), block_size())));
  }
  for (auto& io : ios) channel_->submit(*io);
  wait_until([&] { return std::ranges::all_of(ios, [](auto& io) { return io->result.has_value(); }); });
  for (auto& io : ios) EXPECT_TRUE(io->result->ok());
  for (size_t i = 0; i < kCount; i += 250) expect_stamped(i, 1, 10);
}

TEST_P(StorageConformance, AnIoMayBeSubmittedAgainFromItsOwnCompletion) {
  struct Chain : TestIo {
    using TestIo::TestIo;
    bdev::Channel* channel = nullptr;
    int left = 50;
  };
  AlignedBytes data{block_size()};
  Chain io{Op::kWrite, 0, 1, data.bytes()};
  io.channel = channel_.get();
  io.on_done = [](bdev::Io& done, nvme::Status status) {
    auto& self = static_cast<Chain&>(done);
    ASSERT_TRUE(status.ok());
    if (--self.left == 0) {
      self.result = status;
    } else {
      ++self.block;
      self.channel->submit(self);
    }
  };
  EXPECT_TRUE(run(io).ok());
  EXPECT_EQ(io.block, 49u);
}

TEST_P(MemoryConformance, WhatIsStoredIsWrittenWhenTheCallReturns) {
  AlignedBytes data{3 * block_size()};
  stamp(data.bytes(), 6, block_size(), 11);
  ASSERT_TRUE(channel_->store(6, data.bytes()));
  std::memset(data.bytes().data(), 0, data.bytes().size());
  expect_stamped(6, 3, 11);
}

TEST_P(MemoryConformance, LentMemoryIsWhatAReadWouldGive) {
  write_stamped(5, 4, 12);
  const auto lent = channel_->lend(5, 4);
  ASSERT_EQ(lent.size(), 4 * block_size());
  EXPECT_TRUE(is_stamped(lent, 5, block_size(), 12));
}

TEST_P(StorageConformance, ASecondChannelSeesWhatTheFirstWrote) {
  write_stamped(0, 16, 13);
  channel_ = std::move(device_->open_channel(reactor_).value());
  expect_stamped(0, 16, 13);
}

TEST_P(StorageConformance, RandomOperationsAgreeWithAModel) {
  constexpr uint64_t kSeed = 20;
  constexpr uint64_t kSpan = 512;  // blocks that it plays with
  Prng prng{kSeed};
  std::vector<std::byte> model(kSpan * block_size());
  for (int i = 0; i < 400; ++i) {
    const uint64_t block = prng.below(kSpan);
    const uint64_t count = 1 + prng.below(std::min<uint64_t>(64, kSpan - block));
    const auto part = std::span{model}.subspan(block * block_size(), count * block_size());
    AlignedBytes data{part.size(), prng.below(3) * 4};
    switch (prng.below(4)) {
      case 0:
        ASSERT_TRUE(run(Op::kRead, block, count, data.bytes()).ok());
        ASSERT_TRUE(std::ranges::equal(data.bytes(), part)) << "seed " << kSeed << " step " << i;
        break;
      case 1:
        ASSERT_TRUE(run(Op::kWriteZeroes, block, count).ok());
        std::ranges::fill(part, std::byte{0});
        break;
      default:
        stamp(data.bytes(), block, block_size(), uint64_t(i));
        ASSERT_TRUE(run(Op::kWrite, block, count, data.bytes()).ok());
        std::ranges::copy(data.bytes(), part.begin());
        break;
    }
  }
}

}  // namespace weft::conformance
