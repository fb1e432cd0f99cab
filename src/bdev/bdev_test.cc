// The filters, and what is particular to ram. What all devices have in common is in tests/conformance/bdev_conformance.h.
#include "bdev/bdev.h"

#include "bdev/delay/delay_bdev.h"
#include "bdev/error/error_bdev.h"
#include "bdev/ram/ram_bdev.h"
#include "bdev/ram/ram_channel.h"
#include "bdev/test_support.h"
#include "core/test_support.h"

namespace weft::bdev {
namespace {

using namespace testing_support;

constexpr uint32_t kBlock = 512;
constexpr uint64_t kBlocks = 16384;  // 8 MiB

class FilterTest : public ::testing::Test {
 protected:
  std::unique_ptr<Bdev> ram() { return std::move(make_ram(memory_, "ram", kBlocks, kBlock).value()); }
  void open(std::unique_ptr<Bdev> device) {
    channel_.reset();
    device_ = std::move(device);
    channel_ = std::move(device_->open_channel(reactor_).value());
  }
  nvme::Status run(Op op, uint64_t block = 0, uint64_t count = 1) {
    return execute(reactor_, *channel_, op, block, count, data_.bytes().first(count * kBlock));
  }

  weft::testing_support::ManualClock clock_;
  weft::testing_support::NullSink sink_;
  weft::testing_support::HeapMemory memory_;
  Reactor reactor_{{}, clock_, sink_};
  AlignedBytes data_{64 * kBlock};
  std::unique_ptr<Bdev> device_;
  std::unique_ptr<Channel> channel_;
};

TEST_F(FilterTest, RamZeroesALargeRangeInPieces) {
  open(ram());
  std::vector<std::byte> all(kBlocks * kBlock, std::byte{0xaa});
  EXPECT_TRUE(execute(reactor_, *channel_, Op::kWrite, 0, kBlocks, all).ok());
  TestIo zeroes{Op::kWriteZeroes, 0, kBlocks, {}};
  channel_->submit(zeroes);
  size_t cycles = 0;
  while (!zeroes.result) {
    ASSERT_EQ(reactor_.run_once(), Reactor::Turn::kWorked);  // it must not fall asleep in between
    ++cycles;
  }
  EXPECT_EQ(cycles, kBlocks * kBlock / RamChannel::kZeroBytesPerCycle);
  EXPECT_TRUE(is_zero(channel_->lend(0, kBlocks)));
}

TEST_F(FilterTest, RamServesOthersWhileALargeRangeIsZeroed) {
  open(ram());
  TestIo zeroes{Op::kDeallocate, 0, kBlocks, {}};
  channel_->submit(zeroes);
  EXPECT_TRUE(run(Op::kRead).ok());
  EXPECT_FALSE(zeroes.result.has_value());
  run_until(reactor_, [&] { return zeroes.result.has_value(); });
}

TEST_F(FilterTest, DelayHoldsUpItsOwnClassOnly) {
  open(make_delay(ram(), {.op = OpClass::kWrite, .delay = milliseconds(10)}));
  TestIo write{Op::kWrite, 0, 1, data_.bytes().first(kBlock)};
  channel_->submit(write);
  EXPECT_TRUE(run(Op::kRead).ok());
  clock_.advance(milliseconds(9));
  reactor_.run_once();
  EXPECT_FALSE(write.result.has_value());
  clock_.advance(milliseconds(2));
  reactor_.run_once();
  EXPECT_TRUE(write.result.has_value());
  EXPECT_FALSE(channel_->store(0, data_.bytes().first(kBlock)));
  EXPECT_FALSE(channel_->lend(0, 1).empty());
}

TEST_F(FilterTest, DelaysAddUp) {
  open(make_delay(make_delay(ram(), {.op = OpClass::kAny, .delay = milliseconds(5)}), {.op = OpClass::kRead, .delay = milliseconds(5)}));
  TestIo read{Op::kRead, 0, 1, data_.bytes().first(kBlock)};
  channel_->submit(read);
  clock_.advance(milliseconds(6));
  reactor_.run_once();
  EXPECT_FALSE(read.result.has_value());
  clock_.advance(milliseconds(6));
  reactor_.run_once();
  EXPECT_TRUE(read.result.has_value());
  EXPECT_TRUE(channel_->lend(0, 1).empty());
}

TEST_F(FilterTest, DelayedOperationsKeepTheirOrderAndTheirOwnTimes) {
  open(make_delay(ram(), {.delay = milliseconds(10)}));
  TestIo first{Op::kRead, 0, 1, data_.bytes().first(kBlock)};
  TestIo second{Op::kFlush, 0, 0, {}};
  channel_->submit(first);
  clock_.advance(milliseconds(5));
  reactor_.run_once();
  channel_->submit(second);
  clock_.advance(milliseconds(6));
  reactor_.run_once();
  EXPECT_TRUE(first.result.has_value());
  EXPECT_FALSE(second.result.has_value());
  clock_.advance(milliseconds(6));
  reactor_.run_once();
  EXPECT_TRUE(second.result.has_value());
}

TEST_F(FilterTest, ErrorHitsTheRangeTheNumberAndTheClassThatItWasTold) {
  ErrorRule rule{.op = OpClass::kWrite, .range = BlockRange{100, 8}, .skip = 1, .times = 2};
  open(make_error(ram(), rule));
  EXPECT_TRUE(run(Op::kRead, 100).ok());        // another class
  EXPECT_TRUE(run(Op::kWrite, 92, 8).ok());     // ends before the range
  EXPECT_TRUE(run(Op::kWrite, 108).ok());       // behind it
  EXPECT_TRUE(run(Op::kWrite, 100).ok());       // skipped
  EXPECT_EQ(run(Op::kWrite, 99, 2), nvme::status::kWriteFault.with_dnr());
  EXPECT_EQ(run(Op::kDeallocate, 107, 9), nvme::status::kWriteFault.with_dnr());
  EXPECT_TRUE(run(Op::kWrite, 100).ok());       // spent
}

TEST_F(FilterTest, ErrorGivesTheStatusThatItWasTold) {
  ErrorRule rule{.op = OpClass::kFlush};
  rule.status = nvme::status::kCapacityExceeded;
  open(make_error(ram(), rule));
  EXPECT_EQ(run(Op::kFlush), nvme::status::kCapacityExceeded);
}

TEST_F(FilterTest, AFailingReadIsNotLentAround) {
  open(make_error(ram(), {.op = OpClass::kRead}));
  EXPECT_TRUE(channel_->lend(0, 1).empty());
  EXPECT_EQ(run(Op::kRead), nvme::status::kUnrecoveredReadError.with_dnr());
}

TEST_F(FilterTest, WhatHangsEndsWhenItIsReleased) {
  ErrorRule rule{.op = OpClass::kWrite, .effect = ErrorEffect::kHang};
  open(make_error(ram(), rule));
  TestIo first{Op::kWrite, 0, 1, data_.bytes().first(kBlock)};
  TestIo second{Op::kWriteZeroes, 0, 1, {}};
  channel_->submit(first);
  channel_->submit(second);
  clock_.advance(seconds(3600));
  reactor_.run_once();
  EXPECT_FALSE(first.result.has_value() || second.result.has_value());
  EXPECT_FALSE(channel_->store(0, data_.bytes().first(kBlock)));
  static_cast<ErrorChannel&>(*channel_).release();
  EXPECT_EQ(first.result, nvme::status::kWriteFault.with_dnr());
  EXPECT_EQ(second.result, nvme::status::kWriteFault.with_dnr());
}

}  // namespace
}  // namespace weft::bdev
