// The target model end to end over the loop transport: associations, I/O commands, exclusion, teardown.
#include "transport/loop/loop_fixture.h"

#include <algorithm>

namespace weft::loop {
namespace {

namespace status = nvme::status;
using nvme::IoOpcode;
using Delivery = Connection::Delivery;

INSTANTIATE_TEST_SUITE_P(Reactors, Loop, testing::Values(1, 3));

TEST_P(Loop, WhatIsWrittenIsRead) {
  const auto small = pattern(4096, 1), large = pattern(256 << 10, 2);
  EXPECT_TRUE(write(8, small).ok());
  EXPECT_TRUE(write(100, large, Delivery::kOnRequest).ok());
  EXPECT_EQ(read(8, 8), small);
  EXPECT_EQ(read(100, 512), large);
  EXPECT_EQ(target.shard(GetParam() - 1).buffers().bytes_in_use(Share::kTransfer), 0u);
}

TEST_P(Loop, BadCommandsFailWithTheirStatus) {
  std::vector<std::byte> data(512);
  const auto expect = [&](nvme::Sqe sqe, nvme::Status want, std::span<std::byte> buffer) {
    const bool is_read = IoOpcode(sqe.opcode) == IoOpcode::kRead;
    const nvme::Status got = is_read ? io->status({.sqe = sqe, .to_host = buffer}) : io->status({.sqe = sqe, .from_host = buffer});
    EXPECT_TRUE(got.is(want) && got.dnr()) << name_of(got) << " instead of " << name_of(want);
  };
  expect(io_sqe(IoOpcode::kRead, 2048, 1), status::kLbaOutOfRange, data);
  expect(io_sqe(IoOpcode::kRead, 2047, 2), status::kLbaOutOfRange, data);
  expect(io_sqe(IoOpcode::kRead, ~uint64_t{0}, 1), status::kLbaOutOfRange, data);
  expect(io_sqe(IoOpcode::kRead, 0, 2), status::kSglLengthInvalid, data);
  expect(io_sqe(IoOpcode::kWrite, 0, 2), status::kSglLengthInvalid, data);
  expect(io_sqe(IoOpcode::kWrite, 0, 1, 9), status::kInvalidNamespace, data);
  expect(io_sqe(IoOpcode::kWrite, 0, 1, 0), status::kInvalidNamespace, data);
  expect(io_sqe(IoOpcode::kWrite, 0, 1, nvme::kNsidAll), status::kInvalidNamespace, data);
  expect(io_sqe(IoOpcode(0x7d), 0, 1), status::kInvalidOpcode, {});
  expect(io_sqe(IoOpcode::kFlush, 0, 1), status::kSglLengthInvalid, data);
  EXPECT_EQ(io->connection().queue().outstanding(), 0u);
}

TEST_P(Loop, FlushOfOneAndOfAllNamespacesWaitsForTheDevices) {
  std::optional<nvme::Cqe> all;
  io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, nvme::kNsidAll)}, all);
  target.turn();
  ASSERT_EQ(slow.ios.size(), 1u);
  EXPECT_FALSE(all);
  slow.finish_all();
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->decoded_status().ok());
  EXPECT_TRUE(io->status({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 1)}).ok());
}

TEST_P(Loop, AFailedFlushFailsTheNamespaceUntilItIsCleared) {
  std::optional<nvme::Cqe> flush;
  io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, flush);
  slow.finish_all(status::kWriteFault);
  ASSERT_TRUE(flush);
  EXPECT_TRUE(flush->decoded_status().is(status::kWriteFault));
  EXPECT_TRUE(io->status({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}).is(status::kInternalError));
  EXPECT_TRUE(slow.ios.empty());  // not retried into success
  target.subsystem().namespaces().at(2)->clear_failure();
  io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, flush);
  EXPECT_EQ(slow.ios.size(), 1u);
  slow.finish_all();
}

TEST_P(Loop, AFlushThatFailsAfterItsTimeOutFailsTheNamespaceToo) {
  std::optional<nvme::Cqe> flush;
  io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, flush);
  target.pass(milliseconds(target.target().limits().io_timeout_ms + 500));
  ASSERT_TRUE(flush);
  EXPECT_TRUE(flush->decoded_status().is(status::kInternalPathError));
  slow.finish_all(status::kWriteFault);
  EXPECT_TRUE(io->status({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}).is(status::kInternalError));
}

TEST_P(Loop, ManyFusedPairsMayBeOutstanding) {
  TestQueue queue{target, GetParam() - 1};
  ASSERT_TRUE(queue.connect({.cntlid = cntlid, .qid = 2, .sqsize = 1023}).decoded_status().ok());
  const auto data = std::vector<std::byte>(512);
  nvme::Sqe first = io_sqe(IoOpcode::kCompare, 7, 1), second = io_sqe(IoOpcode::kWrite, 7, 1);
  first.flags = uint8_t(nvme::Fuse::kFirst);
  second.flags = uint8_t(nvme::Fuse::kSecond);
  std::vector<std::optional<nvme::Cqe>> done(800);
  for (size_t i = 0; i < done.size(); i += 2) {
    queue.start({.sqe = first, .from_host = data}, done[i]);
    queue.start({.sqe = second, .from_host = data}, done[i + 1]);
  }
  target.until([&] { return std::ranges::all_of(done, [](const auto& cqe) { return cqe.has_value(); }); });
  EXPECT_TRUE(std::ranges::all_of(done, [](const auto& cqe) { return cqe->decoded_status().ok(); }));
}

TEST_P(Loop, CompareTellsEqualFromDifferent) {
  const auto data = pattern(512, 3), other = pattern(512, 4);
  EXPECT_TRUE(write(5, data).ok());
  EXPECT_TRUE(io->status({.sqe = io_sqe(IoOpcode::kCompare, 5, 1), .from_host = data}).ok());
  EXPECT_TRUE(io->status({.sqe = io_sqe(IoOpcode::kCompare, 5, 1), .from_host = other}).is(status::kCompareFailure));
}

struct FusedResult {
  nvme::Status compare, write;
};

FusedResult fused(TestTarget& target, TestQueue& queue, std::span<const std::byte> expected, std::span<const std::byte> next,
                  Delivery compare_delivery, Delivery write_delivery) {
  nvme::Sqe first = io_sqe(IoOpcode::kCompare, 7, 1), second = io_sqe(IoOpcode::kWrite, 7, 1);
  first.flags = uint8_t(nvme::Fuse::kFirst);
  second.flags = uint8_t(nvme::Fuse::kSecond);
  std::optional<nvme::Cqe> compare, write;
  queue.start({.sqe = first, .from_host = expected, .delivery = compare_delivery}, compare);
  queue.start({.sqe = second, .from_host = next, .delivery = write_delivery}, write);
  queue.connection().deliver_all();
  target.until([&] { return compare && write; });
  return {compare->decoded_status(), write->decoded_status()};
}

TEST_P(Loop, FusedCompareAndWriteActsAsOneWhateverArrivesWhen) {
  auto current = pattern(512, 5);
  EXPECT_TRUE(write(7, current).ok());
  io->connection().hold_requested_data(true);
  int seed = 6;
  for (const Delivery compare : {Delivery::kInCapsule, Delivery::kOnRequest}) {
    for (const Delivery write : {Delivery::kInCapsule, Delivery::kOnRequest}) {
      const auto next = pattern(512, seed++), wrong = pattern(512, 99);
      const FusedResult good = fused(target, *io, current, next, compare, write);
      EXPECT_TRUE(good.compare.ok() && good.write.ok()) << name_of(good.compare) << ", " << name_of(good.write);
      EXPECT_EQ(read(7, 1), next);
      const FusedResult bad = fused(target, *io, wrong, current, compare, write);
      EXPECT_TRUE(bad.compare.is(status::kCompareFailure));
      EXPECT_TRUE(bad.write.is(status::kAbortedFailedFused));
      EXPECT_EQ(read(7, 1), next);
      current = next;
    }
  }
}

TEST_P(Loop, HalvesOfFusedPairsThatStandAloneAreAborted) {
  const auto data = pattern(512, 1);
  nvme::Sqe second = io_sqe(IoOpcode::kWrite, 7, 1), first = io_sqe(IoOpcode::kCompare, 7, 1);
  second.flags = uint8_t(nvme::Fuse::kSecond);
  first.flags = uint8_t(nvme::Fuse::kFirst);
  EXPECT_TRUE(io->status({.sqe = second, .from_host = data}).is(status::kAbortedMissingFused));
  std::optional<nvme::Cqe> lonely;
  io->start({.sqe = first, .from_host = data}, lonely);
  EXPECT_FALSE(lonely);
  EXPECT_TRUE(write(9, data).ok());  // stands where the second should
  ASSERT_TRUE(lonely);
  EXPECT_TRUE(lonely->decoded_status().is(status::kAbortedMissingFused));
  second.cdw10 = 8;  // another LBA
  std::optional<nvme::Cqe> other;
  io->start({.sqe = first, .from_host = data}, other);
  EXPECT_TRUE(io->status({.sqe = second, .from_host = data}).is(status::kInvalidField));
  ASSERT_TRUE(other);
  EXPECT_TRUE(other->decoded_status().is(status::kInvalidField));
}

TEST_P(Loop, AFrozenRangeParksWhatOverlapsAndNothingElse) {
  bool is_frozen = false;
  auto& ns = *target.subsystem().namespaces().at(1);
  ns.freezer().freeze(target.subsystem().index(), {10, 10}, target.shard(0), [&] { is_frozen = true; });
  target.until([&] { return is_frozen; });
  const auto data = pattern(512, 1);
  std::optional<nvme::Cqe> inside, outside;
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 15, 1), .from_host = data}, inside);
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 20, 1), .from_host = data}, outside);
  target.turn();
  EXPECT_FALSE(inside);
  EXPECT_TRUE(outside);
  ns.freezer().thaw();
  target.until([&] { return inside.has_value(); });
  EXPECT_TRUE(inside->decoded_status().ok());
}

TEST_P(Loop, CopyMovesRangesAndVerifyReadsThem) {
  const auto a = pattern(512 * 3, 1), b = pattern(512 * 2, 2);
  EXPECT_TRUE(write(10, a).ok());
  EXPECT_TRUE(write(50, b).ok());
  std::array<nvme::CopyRange, 2> ranges{};
  ranges[0].slba = 10;
  ranges[0].nlb = 2;
  ranges[1].slba = 50;
  ranges[1].nlb = 1;
  nvme::Sqe sqe = io_sqe(IoOpcode::kCopy, 200, 2);
  EXPECT_TRUE(io->status({.sqe = sqe, .from_host = std::as_bytes(std::span{ranges})}).ok());
  EXPECT_EQ(read(200, 3), a);
  EXPECT_EQ(read(203, 2), b);
  EXPECT_TRUE(io->status({.sqe = io_sqe(IoOpcode::kVerify, 200, 5)}).ok());
  ranges[1].slba = 2047;
  EXPECT_TRUE(io->status({.sqe = sqe, .from_host = std::as_bytes(std::span{ranges})}).is(status::kLbaOutOfRange));
}

TEST_P(Loop, ACopyTakesNoFurtherStepWhenItsConnectionIsGone) {
  std::array<nvme::CopyRange, 2> ranges{};
  ranges[1].slba = 50;
  nvme::Sqe sqe = io_sqe(IoOpcode::kCopy, 200, 2);
  sqe.nsid = 2;
  std::optional<nvme::Cqe> cqe;
  io->start({.sqe = sqe, .from_host = std::as_bytes(std::span{ranges})}, cqe);
  target.until([&] { return slow.ios.size() == 1; });  // the read of the first range
  io->connection().disconnect();
  target.until([&] { return io->connection().queue().state() == nvmf::QueueState::kDetached; });
  slow.finish_all();
  target.until([&] { return io->connection().is_detached(); });
  EXPECT_TRUE(slow.ios.empty());
}

TEST_P(Loop, DeallocateAndWriteZeroesReadBackAsZeroes) {
  const std::vector<std::byte> zeroes(512);
  for (const uint64_t lba : {30, 31, 32}) EXPECT_TRUE(write(lba, pattern(512, 9)).ok());
  EXPECT_TRUE(io->status({.sqe = io_sqe(IoOpcode::kWriteZeroes, 30, 1)}).ok());
  std::vector<std::byte> list(4096);  // a Linux host always sends the whole list
  auto* range = reinterpret_cast<nvme::DsmRange*>(list.data());
  range->slba = 31;
  range->length_blocks = 1;
  nvme::Sqe dsm{};
  dsm.opcode = uint8_t(IoOpcode::kDatasetManagement);
  dsm.nsid = 1;
  dsm.cdw11 = nvme::kDsmDeallocate;
  EXPECT_TRUE(io->status({.sqe = dsm, .from_host = list}).ok());
  EXPECT_EQ(read(30, 1), zeroes);
  EXPECT_EQ(read(31, 1), zeroes);
  EXPECT_EQ(read(32, 1), pattern(512, 9));
}

nvme::Sqe abort_of(uint16_t sqid, uint16_t cid) {
  nvme::Sqe sqe{};
  sqe.opcode = uint8_t(nvme::AdminOpcode::kAbort);
  sqe.cdw10 = uint32_t{cid} << 16 | sqid;
  return sqe;
}

TEST_P(Loop, AbortStopsWhatWaitsForDataAndLeavesWhatTheDeviceHas) {
  io->connection().hold_requested_data(true);
  const auto data = pattern(512, 1);
  std::optional<nvme::Cqe> waiting, running;
  const uint16_t waiting_cid = io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1), .from_host = data, .delivery = Delivery::kOnRequest}, waiting);
  const uint16_t running_cid = io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data}, running);
  EXPECT_EQ(admin.run({.sqe = abort_of(1, waiting_cid)}).dw0 & 1, 0u);
  EXPECT_EQ(admin.run({.sqe = abort_of(1, running_cid)}).dw0 & 1, 1u);
  EXPECT_EQ(admin.run({.sqe = abort_of(1, 999)}).dw0 & 1, 1u);
  EXPECT_FALSE(waiting);  // its transfer tag stays valid until the data has come
  io->connection().deliver_all();
  ASSERT_TRUE(waiting);
  EXPECT_TRUE(waiting->decoded_status().is(status::kAbortRequested));
  EXPECT_EQ(read(1, 1), std::vector<std::byte>(512));
  slow.finish_all();
  ASSERT_TRUE(running);
  EXPECT_TRUE(running->decoded_status().ok());
}

TEST_P(Loop, ADeviceThatHangsFailsItsCommandsAndKeepsTheirBuffers) {
  const auto data = pattern(512, 1);
  std::optional<nvme::Cqe> hung;
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data}, hung);
  target.pass(milliseconds(target.target().limits().io_timeout_ms + 500));
  ASSERT_TRUE(hung);
  EXPECT_TRUE(hung->decoded_status().is(status::kInternalPathError));
  EXPECT_FALSE(hung->decoded_status().dnr());
  BufferPool& buffers = target.shard(GetParam() - 1).buffers();
  EXPECT_GT(buffers.bytes_in_use(Share::kInCapsule), 0u);
  // A late write must not land on a newer one: new writes are refused until it is back; other namespaces do not notice.
  EXPECT_TRUE(io->status({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data}).is(status::kInternalPathError));
  EXPECT_TRUE(write(1, data).ok());
  slow.finish_all();
  EXPECT_EQ(buffers.bytes_in_use(Share::kInCapsule), 0u);
  std::optional<nvme::Cqe> again;
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data}, again);
  EXPECT_EQ(slow.ios.size(), 1u);
  slow.finish_all();
  EXPECT_TRUE(again);
}

TEST(LateDevice, ItsTimeOutIsAnAnswerThatHoldsKeepAliveOff) {
  HeldIos slow;
  TestTarget target{1, {.io_timeout_ms = 2000}};
  target.add(1, std::make_unique<SlowBdev>(slow));
  TestQueue admin{target}, io{target};
  const uint16_t cntlid = admin.connect_and_enable({.kato_ms = 2000});
  EXPECT_TRUE(io.connect({.cntlid = cntlid, .qid = 1}).decoded_status().ok());
  std::optional<nvme::Cqe> hung;
  io.start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1)}, hung);
  target.pass(milliseconds(3500));
  EXPECT_TRUE(hung);
  EXPECT_FALSE(admin.connection().is_closed());
  target.pass(milliseconds(2000));
  EXPECT_EQ(admin.connection().close_reason(), nvmf::CloseReason::kKeepAliveExpired);
  slow.finish_all();
}

TEST_P(Loop, AWriteThatWasParkedIsRefusedWhenALateOneIsOutByThen) {
  bool is_frozen = false;
  auto& ns = *target.subsystem().namespaces().at(2);
  ns.freezer().freeze(target.subsystem().index(), {10, 10}, target.shard(0), [&] { is_frozen = true; });
  target.until([&] { return is_frozen; });
  const auto data = pattern(512, 1);
  std::optional<nvme::Cqe> hung, parked;
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data}, hung);
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 15, 1, 2), .from_host = data}, parked);
  target.pass(milliseconds(target.target().limits().io_timeout_ms + 500));
  EXPECT_TRUE(hung);
  EXPECT_FALSE(parked);
  ns.freezer().thaw();
  target.turn();
  EXPECT_EQ(slow.ios.size(), 1u);
  slow.finish_all();
  ASSERT_TRUE(parked);
  EXPECT_TRUE(parked->decoded_status().is(status::kInternalPathError));
}

TEST_P(Loop, ACopyIsRefusedItsWriteWhenAnotherWriteHasBecomeLateWhileItRead) {
  const auto data = pattern(512, 1);
  std::optional<nvme::Cqe> hung, copied;
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data}, hung);
  target.pass(milliseconds(target.target().limits().io_timeout_ms - 500));
  const nvme::CopyRange range{.slba = 8, .nlb = 0};
  nvme::Sqe copy = io_sqe(IoOpcode::kCopy, 1, 1, 2);
  copy.cdw12 = 0u;  // one range
  io->start({.sqe = copy, .from_host = bytes_of(range)}, copied);
  target.pass(seconds(1));
  EXPECT_TRUE(hung);
  ASSERT_EQ(slow.ios.size(), 2u);  // the late write, and what Copy reads
  bdev::Io& read = *slow.ios.back();
  slow.ios.pop_back();
  read.done(nvme::status::kSuccess);
  ASSERT_TRUE(copied);
  EXPECT_TRUE(copied->decoded_status().is(status::kInternalPathError));
}

TEST_P(Loop, AFusedPairIsRefusedWhenItsFreezeHasWaitedForALateWrite) {
  const auto data = pattern(512, 1);
  std::optional<nvme::Cqe> hung, compare, write;
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data}, hung);
  nvme::Sqe first = io_sqe(IoOpcode::kCompare, 1, 1, 2), second = io_sqe(IoOpcode::kWrite, 1, 1, 2);
  first.flags = uint8_t(nvme::Fuse::kFirst);
  second.flags = uint8_t(nvme::Fuse::kSecond);
  io->start({.sqe = first, .from_host = data}, compare);
  io->start({.sqe = second, .from_host = data}, write);
  EXPECT_FALSE(compare);
  target.pass(milliseconds(target.target().limits().io_timeout_ms + 500));
  EXPECT_TRUE(hung);
  EXPECT_EQ(slow.ios.size(), 1u);
  slow.finish_all();
  ASSERT_TRUE(compare && write);
  EXPECT_TRUE(compare->decoded_status().is(status::kInternalPathError));
  EXPECT_TRUE(write->decoded_status().is(status::kAbortedFailedFused));
}

TEST_P(Loop, AConnectionThatGoesWhileADeviceHangsComesHomeInBoundedTime) {
  const auto data = pattern(512, 1);
  std::optional<nvme::Cqe> hung;
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data}, hung);
  io->connection().disconnect();
  target.pass(milliseconds(target.target().limits().shutdown_ms + 500));
  EXPECT_TRUE(io->connection().is_detached());
  EXPECT_FALSE(hung);
  slow.finish_all();  // the late write finds its buffer where it was
  EXPECT_EQ(target.shard(GetParam() - 1).buffers().bytes_in_use(Share::kInCapsule), 0u);
}

TEST_P(Loop, AReadThatEndsAfterItsConnectionGivesItsBufferBack) {
  std::vector<std::byte> data(512);
  std::optional<nvme::Cqe> answer;
  io->start({.sqe = io_sqe(IoOpcode::kRead, 1, 1, 2), .to_host = data}, answer);
  io->connection().disconnect();
  target.pass(milliseconds(10));
  BufferPool& buffers = target.shard(GetParam() - 1).buffers();
  EXPECT_GT(buffers.bytes_in_use(Share::kRead), 0u);
  slow.finish_all();
  target.until([&] { return io->connection().is_detached(); });
  EXPECT_FALSE(answer);
  EXPECT_EQ(buffers.bytes_in_use(Share::kRead), 0u);
}

TEST_P(Loop, KeepAliveExpiresInTimeAndTrafficOnAnyQueueHoldsItOff) {
  TestQueue kept{target};
  const uint16_t id = kept.connect_and_enable({.hostnqn = "nqn.2014-08.org.nvmexpress:uuid:kept", .kato_ms = 1000});
  TestQueue traffic{target, GetParam() - 1};
  EXPECT_TRUE(traffic.connect({.hostnqn = "nqn.2014-08.org.nvmexpress:uuid:kept", .cntlid = id, .qid = 1}).decoded_status().ok());
  for (int i = 0; i < 4; ++i) {
    target.pass(milliseconds(1000));
    EXPECT_TRUE(traffic.status({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 1)}).ok());
  }
  EXPECT_FALSE(kept.connection().is_closed());
  target.pass(milliseconds(1240));
  EXPECT_FALSE(kept.connection().is_closed());
  target.pass(milliseconds(260));
  EXPECT_TRUE(kept.connection().is_closed());
  EXPECT_EQ(kept.connection().close_reason(), nvmf::CloseReason::kKeepAliveExpired);
}

TEST_P(Loop, ConnectIsCheckedFieldByField) {
  using Options = ConnectOptions;
  const struct {
    Options options;
    nvme::Status want;
    uint32_t parameter;
  } rows[] = {
      {{.recfmt = 1}, status::kConnectIncompatibleFormat, 0},
      {{.subnqn = "nqn.2020-01.no.such:thing"}, status::kConnectInvalidParameters, 0x10100},
      {{.hostnqn = ""}, status::kConnectInvalidParameters, 0x10200},
      {{.cntlid = 1}, status::kConnectInvalidParameters, 0x10010},
      {{.sqsize = 0}, status::kConnectInvalidParameters, 0x2c},
      {{.sqsize = 1024}, status::kConnectInvalidParameters, 0x2c},
      {{.cntlid = 77, .qid = 1}, status::kConnectInvalidParameters, 0x10010},
      {{.cntlid = cntlid, .qid = 1, .sqsize = 1024}, status::kConnectInvalidParameters, 0x2c},
      {{.cntlid = cntlid, .qid = 129}, status::kConnectInvalidParameters, 0x2a},
      {{.hostnqn = "nqn.2020-01.other:host", .cntlid = cntlid, .qid = 2}, status::kConnectInvalidParameters, 0x10010},
      {{.cntlid = cntlid, .qid = 1}, status::kCommandSequenceError, 0},  // connected already
  };
  for (const auto& row : rows) {
    TestQueue queue{target};
    const nvme::Cqe cqe = queue.connect(row.options);
    EXPECT_TRUE(cqe.decoded_status().is(row.want)) << name_of(cqe.decoded_status()) << " instead of " << name_of(row.want);
    EXPECT_EQ(uint32_t{cqe.dw0}, row.parameter);
    // A refused queue may try again.
    EXPECT_TRUE(queue.connect({.delivery = Delivery::kOnRequest}).decoded_status().ok());
  }
}

TEST_P(Loop, NothingButConnectIsTakenBeforeIt) {
  TestQueue queue{target};
  EXPECT_TRUE(queue.status({.sqe = io_sqe(IoOpcode::kFlush, 0, 1)}).is(status::kCommandSequenceError));
  EXPECT_TRUE(queue.property_get(nvme::property::kCap, 1).decoded_status().is(status::kCommandSequenceError));
  nvme::Sqe identify{};
  identify.opcode = uint8_t(nvme::AdminOpcode::kIdentify);
  std::vector<std::byte> page(4096);
  EXPECT_TRUE(queue.connect({}).decoded_status().ok());
  EXPECT_TRUE(queue.status({.sqe = identify, .to_host = page}).is(status::kCommandSequenceError));  // not enabled yet
}

TEST_P(Loop, ADuplicateCommandIdIsRefusedAndTheFirstGoesOn) {
  std::optional<nvme::Cqe> first;
  const uint16_t cid = io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, first);
  Connection::Request again{.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 1)};
  again.sqe.cid = cid;
  std::optional<nvme::Cqe> second;
  again.on_done = [&](const nvme::Cqe& cqe) { second = cqe; };
  EXPECT_TRUE(io->connection().submit(std::move(again)));
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->decoded_status().is(status::kCommandIdConflict));
  slow.finish_all();
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->decoded_status().ok());
}

TEST_P(Loop, TheQueueTakesSqsizePlusOneCommandsAndNoMore) {
  std::array<std::optional<nvme::Cqe>, 32> done;
  for (auto& cqe : done) io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, cqe);
  EXPECT_FALSE(io->connection().submit({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}));
  slow.finish_all();
  for (auto& cqe : done) EXPECT_TRUE(cqe);
}

TEST_P(Loop, DisconnectIsAnsweredLastAndClosesTheQueue) {
  std::optional<nvme::Cqe> running, gone;
  io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, running);
  fabrics::DisconnectSqe sqe{};
  sqe.opcode = nvme::kFabricsOpcode;
  sqe.fctype = uint8_t(fabrics::Fctype::kDisconnect);
  Connection::Request request;
  request.sqe = std::bit_cast<nvme::Sqe>(sqe);
  io->start(std::move(request), gone);
  EXPECT_FALSE(gone);
  slow.finish_all();
  EXPECT_TRUE(running && gone);
  target.until([&] { return io->connection().is_detached(); });
  EXPECT_FALSE(admin.connection().is_closed());
  TestQueue again{target};
  EXPECT_TRUE(again.connect({.cntlid = cntlid, .qid = 1}).decoded_status().ok());
}

TEST_P(Loop, InCapsuleWritesWaitForBuffersAndLoseNothing) {
  // The slow device keeps its buffers, so the share runs out long before the queue's 32 entries times 3 queues.
  std::vector<std::unique_ptr<TestQueue>> queues;
  std::vector<std::optional<nvme::Cqe>> done(3 * 1000);
  const auto data = pattern(512, 1);
  size_t next = 0;
  for (uint16_t qid = 2; qid < 5; ++qid) {
    queues.push_back(std::make_unique<TestQueue>(target, GetParam() - 1));
    ASSERT_TRUE(queues.back()->connect({.cntlid = cntlid, .qid = qid, .sqsize = 999}).decoded_status().ok());
    for (int i = 0; i < 1000; ++i) queues.back()->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1, 2), .from_host = data}, done[next++]);
  }
  EXPECT_LT(slow.ios.size(), 3000u);
  target.until([&] {
    slow.finish_all();
    return std::ranges::all_of(done, [](const auto& cqe) { return cqe.has_value(); });
  });
  EXPECT_EQ(target.shard(GetParam() - 1).buffers().bytes_in_use(Share::kInCapsule), 0u);
}

TEST_P(Loop, ANamespaceGoesWhenItsCommandsAreDoneAndHostsAreTold) {
  nvme::Sqe config{};
  config.opcode = uint8_t(nvme::AdminOpcode::kSetFeatures);
  config.cdw10 = 0x0b;
  config.cdw11 = 1 << 8;
  EXPECT_TRUE(admin.status({.sqe = config}).ok());
  nvme::Sqe event{};
  event.opcode = uint8_t(nvme::AdminOpcode::kAsyncEventRequest);
  std::optional<nvme::Cqe> told, running;
  admin.start({.sqe = event}, told);
  io->start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, running);
  bool is_gone = false;
  target.target().remove_namespace(target.subsystem(), 2, [&](Result<void> result) { is_gone = result.has_value(); });
  for (int i = 0; i < 10; ++i) target.turn();
  EXPECT_FALSE(is_gone);
  EXPECT_TRUE(io->status({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}).is(status::kInvalidNamespace));
  auto ios = std::exchange(slow.ios, {});
  slow.ios.clear();
  for (bdev::Io* held : ios) held->done(status::kSuccess);
  target.until([&] { return is_gone; });
  ASSERT_TRUE(running);
  EXPECT_TRUE(running->decoded_status().ok());
  ASSERT_TRUE(told);
  EXPECT_EQ(uint32_t{told->dw0}, 0x00040002u);
  target.add(2, std::make_unique<SlowBdev>(slow));
}

TEST_P(Loop, ANamespaceStaysWhileACommandThatNamesItWaitsForItsData) {
  io->connection().hold_requested_data(true);
  const auto data = pattern(512, 1);
  std::optional<nvme::Cqe> waiting;
  io->start({.sqe = io_sqe(IoOpcode::kWrite, 1, 1), .from_host = data, .delivery = Delivery::kOnRequest}, waiting);
  bool is_gone = false;
  target.target().remove_namespace(target.subsystem(), 1, [&](Result<void>) { is_gone = true; });
  for (int i = 0; i < 20; ++i) target.turn();
  EXPECT_FALSE(is_gone);
  io->connection().deliver_all();
  ASSERT_TRUE(waiting);
  EXPECT_TRUE(waiting->decoded_status().ok());
  target.until([&] { return is_gone; });
}

TEST_P(Loop, ConnectAndDisconnectLeaveNothingBehind) {
  const uint32_t chunks = target.shard().slots().chunks_in_use();
  for (int i = 0; i < 50; ++i) {
    TestQueue host{target, size_t(i) % GetParam()};
    const uint16_t id = host.connect_and_enable({.hostnqn = "nqn.2014-08.org.nvmexpress:uuid:again"});
    TestQueue queue{target};
    EXPECT_TRUE(queue.connect({.hostnqn = "nqn.2014-08.org.nvmexpress:uuid:again", .cntlid = id, .qid = 1}).decoded_status().ok());
    host.connection().disconnect();
    target.until([&] { return host.connection().is_detached() && queue.connection().is_detached(); });
  }
  EXPECT_EQ(target.subsystem().registry().size(), 1u);
  EXPECT_EQ(target.shard().slots().chunks_in_use(), chunks);
}

}  // namespace
}  // namespace weft::loop
