// Compare, Verify and Copy on a device that has them: what it is given, and what becomes of its answers.
#include "transport/loop/loop_fixture.h"

#include <array>

namespace weft::loop {
namespace {

namespace status = nvme::status;
using bdev::Op;
using nvme::IoOpcode;

struct DeviceCommands : Loop {
  DeviceCommands() { slow.takes_all = true; }
  void start(const nvme::Sqe& sqe, std::span<const std::byte> from_host, std::optional<nvme::Cqe>& cqe) {
    io->start({.sqe = sqe, .from_host = from_host}, cqe);
    target.turn();
  }
  /// The one Io that the device has had; it is over.
  struct Was {
    Op op = Op::kFlush;
    uint64_t source = 0, block = 0, block_count = 0;
  };
  Was finish(nvme::Status with = status::kSuccess) {
    EXPECT_EQ(slow.ios.size(), 1u);
    Was was;
    for (const bdev::Io* each : slow.ios) was = {each->op, each->source, each->block, each->block_count};
    slow.finish_all(with);
    target.turn();
    return was;
  }
  uint64_t media_errors() {
    uint64_t sum = 0;
    for (const auto& counters : target.subsystem().namespaces().at(2)->all_counters()) sum += counters.media_errors.value();
    return sum;
  }
};

INSTANTIATE_TEST_SUITE_P(Reactors, DeviceCommands, testing::Values(1, 3));

TEST_P(DeviceCommands, ACompareIsTheDevicesAndADifferenceIsNoErrorOfItsMedium) {
  const auto data = pattern(1024, 1);
  for (const nvme::Status answer : {status::kSuccess, status::kCompareFailure.with_dnr(), status::kUnrecoveredReadError.with_dnr()}) {
    std::optional<nvme::Cqe> cqe;
    start(io_sqe(IoOpcode::kCompare, 5, 2, 2), data, cqe);
    ASSERT_EQ(slow.ios.size(), 1u);
    EXPECT_TRUE(std::ranges::equal(slow.ios.front()->data, data));
    const Was was = finish(answer);
    EXPECT_TRUE(was.op == Op::kCompare && was.block == 5 && was.block_count == 2);
    ASSERT_TRUE(cqe);
    EXPECT_TRUE(cqe->decoded_status().is(answer));
  }
  EXPECT_EQ(media_errors(), 1u);
}

TEST_P(DeviceCommands, AVerifyIsOneIoOfAllItsBlocks) {
  for (const nvme::Status answer : {status::kSuccess, status::kUnrecoveredReadError.with_dnr()}) {
    std::optional<nvme::Cqe> cqe;
    start(io_sqe(IoOpcode::kVerify, 100, 1500, 2), {}, cqe);
    const Was was = finish(answer);
    EXPECT_TRUE(was.op == Op::kVerify && was.block == 100 && was.block_count == 1500);
    ASSERT_TRUE(cqe);
    EXPECT_TRUE(cqe->decoded_status().is(answer));
  }
}

std::array<nvme::CopyRange, 3> ranges() {
  std::array<nvme::CopyRange, 3> ranges{};
  ranges[0].slba = 10;
  ranges[0].nlb = 2;
  ranges[1].slba = 50;
  ranges[2].slba = 60;
  ranges[2].nlb = 4;
  return ranges;
}

TEST_P(DeviceCommands, ACopyIsAnIoForEachSourceRange) {
  const auto sources = ranges();
  std::optional<nvme::Cqe> cqe;
  start(io_sqe(IoOpcode::kCopy, 200, 3, 2), std::as_bytes(std::span{sources}), cqe);
  uint64_t to = 200;
  for (const nvme::CopyRange& range : sources) {
    const Was was = finish();
    EXPECT_TRUE(was.op == Op::kCopy && was.source == range.slba && was.block == to && was.block_count == range.nlb + 1u);
    to += was.block_count;
  }
  ASSERT_TRUE(cqe);
  EXPECT_TRUE(cqe->decoded_status().ok());
}

TEST_P(DeviceCommands, ACopyThatFailsSaysAtWhichRange) {
  const auto sources = ranges();
  std::optional<nvme::Cqe> cqe;
  start(io_sqe(IoOpcode::kCopy, 200, 3, 2), std::as_bytes(std::span{sources}), cqe);
  finish();
  finish(status::kUnrecoveredReadError.with_dnr());
  ASSERT_TRUE(cqe);
  EXPECT_TRUE(cqe->decoded_status().is(status::kUnrecoveredReadError));
  EXPECT_EQ(uint32_t{cqe->dw0}, 1u);
  EXPECT_TRUE(slow.ios.empty());
}

TEST_P(DeviceCommands, ARangeThatItsOwnCopyOverwritesIsReadAndWrittenHere) {
  auto sources = ranges();
  sources[1].slba = 199;  // three blocks behind the first range's target, to 203
  sources[1].nlb = 9;
  std::optional<nvme::Cqe> cqe;
  start(io_sqe(IoOpcode::kCopy, 200, 3, 2), std::as_bytes(std::span{sources}), cqe);
  std::vector<Op> ops;
  while (!slow.ios.empty()) ops.push_back(finish().op);
  EXPECT_EQ(ops, (std::vector{Op::kCopy, Op::kRead, Op::kWrite, Op::kCopy}));
  ASSERT_TRUE(cqe);
  EXPECT_TRUE(cqe->decoded_status().ok());
}

TEST_P(DeviceCommands, ACopyGoesOnWithoutTheDevicesWhenItHasItNoMore) {
  const auto sources = ranges();
  std::optional<nvme::Cqe> cqe;
  start(io_sqe(IoOpcode::kCopy, 200, 3, 2), std::as_bytes(std::span{sources}), cqe);
  slow.takes_all = false;
  std::vector<Op> ops;
  while (!slow.ios.empty()) ops.push_back(finish().op);
  EXPECT_EQ(ops, (std::vector{Op::kCopy, Op::kRead, Op::kWrite, Op::kRead, Op::kWrite}));
  ASSERT_TRUE(cqe);
  EXPECT_TRUE(cqe->decoded_status().ok());
}

TEST_P(DeviceCommands, TheDevicesCompareKeepsAFusedPairExclusiveOnItsRange) {
  const auto expected = pattern(512, 1), next = pattern(512, 2), other = pattern(512, 3);
  for (const bool is_equal : {true, false}) {
    nvme::Sqe first = io_sqe(IoOpcode::kCompare, 7, 1, 2), second = io_sqe(IoOpcode::kWrite, 7, 1, 2);
    first.flags = uint8_t(nvme::Fuse::kFirst);
    second.flags = uint8_t(nvme::Fuse::kSecond);
    std::optional<nvme::Cqe> compare, write, late;
    io->start({.sqe = first, .from_host = expected}, compare);
    io->start({.sqe = second, .from_host = next}, write);
    target.until([&] { return slow.ios.size() == 1; });
    io->start({.sqe = io_sqe(IoOpcode::kWrite, 7, 1, 2), .from_host = other}, late);
    target.turn();
    EXPECT_EQ(finish(is_equal ? status::kSuccess : status::kCompareFailure.with_dnr()).op, Op::kCompare);
    if (is_equal) {
      ASSERT_EQ(slow.ios.size(), 1u);
      EXPECT_TRUE(std::ranges::equal(slow.ios.front()->data, next));  // the pair's, before the one that came meanwhile
      finish();
    }
    target.until([&] { return compare && write && slow.ios.size() == 1; });
    EXPECT_EQ(compare->decoded_status().ok(), is_equal);
    EXPECT_EQ(write->decoded_status().ok(), is_equal);
    EXPECT_TRUE(is_equal || write->decoded_status().is(status::kAbortedFailedFused));
    EXPECT_TRUE(std::ranges::equal(slow.ios.front()->data, other));
    finish();
    target.until([&] { return late.has_value(); });
  }
}

}  // namespace
}  // namespace weft::loop
