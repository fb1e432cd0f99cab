// Queues over verbs in memory, on the real target with a RAM namespace: every way of moving data, and every way in which a queue ends.
#include "transport/rdma/connection.h"

#include <gtest/gtest.h>

#include "transport/rdma/test_support.h"
#include "wire/nvme/features.h"

namespace weft::rdma {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit
using nvme::IoOpcode;
using nvme::SglDescriptor;

nvme::Sqe sqe_with(IoOpcode opcode, uint16_t cid, uint64_t slba, uint32_t blocks, const SglDescriptor& sgl) {
  nvme::Sqe sqe = io_sqe(opcode, cid, slba, blocks, 0);
  sqe.sgl = sgl;
  return sqe;
}
SglDescriptor in_capsule(uint32_t length, uint64_t offset = 0) {
  SglDescriptor descriptor{};
  descriptor.address = offset;
  descriptor.length = length;
  descriptor.type = SglDescriptor::kDataBlockOffset;
  return descriptor;
}
SglDescriptor list_of(size_t count) {
  SglDescriptor descriptor{};
  descriptor.length = uint32_t(count * sizeof(SglDescriptor));
  descriptor.type = SglDescriptor::kLastSegmentOffset;
  return descriptor;
}
std::span<const std::byte> bytes_in(const std::vector<SglDescriptor>& list) { return std::as_bytes(std::span(list)); }

void fill(TestQueue& queue, size_t offset, const Bytes& data) { std::memcpy(queue.data().data() + offset, data.data(), data.size()); }
Bytes content(TestQueue& queue, size_t offset, size_t size) {
  const auto part = queue.data().subspan(offset, size);
  return {part.begin(), part.end()};
}

class RdmaData : public ::testing::Test {
 protected:
  /// What the namespace holds, by a read with one descriptor.
  Bytes stored(uint64_t slba, size_t size) {
    constexpr size_t kAt = 3 << 20;
    io().send(sqe_with(IoOpcode::kRead, 99, slba, uint32_t(size / kBlockSize), io().keyed(kAt, uint32_t(size))));
    EXPECT_TRUE(io().status().ok());
    return content(io(), kAt, size);
  }
  TestQueue& io() { return *session_->io; }

  TestServer server_;
  std::optional<Session> session_{std::in_place, server_};
};

TEST_F(RdmaData, AWriteIsFetchedByReadAndAReadArrivesByWrite) {
  const Bytes data = pattern(128 << 10, 1);
  fill(io(), 4096, data);
  io().send(sqe_with(IoOpcode::kWrite, 3, 8, 256, io().keyed(4096, 128 << 10)));
  EXPECT_TRUE(io().status().ok());
  EXPECT_EQ(stored(8, 128 << 10), data);
}

TEST_F(RdmaData, AWriteBringsItsDataInTheCapsule) {
  const Bytes data = pattern(4096, 2);
  const uint64_t reads = server_.target_verbs.counts.reads;
  io().send(sqe_with(IoOpcode::kWrite, 3, 16, 8, in_capsule(4096)), data);
  EXPECT_TRUE(io().status().ok());
  EXPECT_EQ(server_.target_verbs.counts.reads, reads);
  EXPECT_EQ(stored(16, 4096), data);
}

TEST_F(RdmaData, AListOfSixteenDescriptorsScattersAndGathers) {
  constexpr uint32_t kPiece = 1536;  // not a power of two, so no piece ends where a page does
  constexpr size_t kCount = 16;
  const Bytes data = pattern(kCount * kPiece, 3);
  std::vector<SglDescriptor> list;
  for (size_t i = 0; i < kCount; ++i) {
    const size_t place = (kCount - i) * 8192;
    fill(io(), place, Bytes(data.begin() + ptrdiff_t(i * kPiece), data.begin() + ptrdiff_t((i + 1) * kPiece)));
    list.push_back(io().keyed(place, kPiece));
  }
  io().send(sqe_with(IoOpcode::kWrite, 3, 0, kCount * kPiece / kBlockSize, list_of(kCount)), bytes_in(list));
  EXPECT_TRUE(io().status().ok());
  EXPECT_EQ(stored(0, data.size()), data);
  std::ranges::fill(io().data(), std::byte{0});
  io().send(sqe_with(IoOpcode::kRead, 4, 0, kCount * kPiece / kBlockSize, list_of(kCount)), bytes_in(list));
  EXPECT_TRUE(io().status().ok());
  Bytes gathered;
  for (size_t i = 0; i < kCount; ++i) {
    const Bytes piece = content(io(), (kCount - i) * 8192, kPiece);
    gathered.insert(gathered.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(gathered, data);
}

TEST_F(RdmaData, NoMoreReadsAreOutstandingThanWereNegotiated) {
  TestQueue slow(server_, {.qid = 2, .entries = 32, .answered_reads = 2});
  ASSERT_TRUE(slow.connect_nvme(1).decoded_status().ok());
  server_.target_verbs.counts = {};
  std::vector<SglDescriptor> list;
  for (size_t i = 0; i < 8; ++i) list.push_back(slow.keyed(i * 4096, 4096));
  slow.post(sqe_with(IoOpcode::kWrite, 3, 0, 64, list_of(8)), bytes_in(list));
  slow.post(sqe_with(IoOpcode::kWrite, 4, 64, 8, slow.keyed(0, 4096)));
  server_.run();
  EXPECT_TRUE(slow.status().ok());
  EXPECT_TRUE(slow.status().ok());
  EXPECT_EQ(server_.target_verbs.counts.reads, 9u);
  EXPECT_EQ(server_.target_verbs.counts.reads_outstanding_max, 2u);
}

TEST_F(RdmaData, ALongMessageIsSplitWhereTheDeviceSaysSo) {
  server_.fabric.device.message_bytes_max = 64 << 10;
  const Bytes data = pattern(1 << 20, 5);
  fill(io(), 0, data);
  const auto before = server_.target_verbs.counts;
  io().send(sqe_with(IoOpcode::kWrite, 3, 0, 2048, io().keyed(0, 1 << 20)));
  EXPECT_TRUE(io().status().ok());
  EXPECT_EQ(server_.target_verbs.counts.reads, before.reads + 16);
  EXPECT_EQ(stored(0, 1 << 20), data);
  EXPECT_EQ(server_.target_verbs.counts.writes, before.writes + 16);
}

TEST_F(RdmaData, TheKeyIsInvalidatedOnlyWhereTheDescriptorAsksAndTheDeviceCan) {
  for (const bool can_invalidate : {false, true}) {
    server_.fabric.device.can_invalidate_remotely = can_invalidate;
    for (const uint8_t type : {SglDescriptor::kKeyedDataBlock, SglDescriptor::kKeyedDataBlockInvalidate}) {
      Session session(server_);
      TestQueue& queue = *session.io;
      const uint32_t key = queue.key();
      queue.send(sqe_with(IoOpcode::kRead, 3, 0, 8, queue.keyed(0, 4096, type)));
      const auto response = queue.take_response();
      ASSERT_TRUE(response && response->cqe.decoded_status().ok());
      const bool is_expected = can_invalidate && type == SglDescriptor::kKeyedDataBlockInvalidate;
      EXPECT_EQ(response->invalidated, is_expected ? std::optional{key} : std::nullopt);
    }
  }
}

TEST_F(RdmaData, AHostUsesACidAgainAsSoonAsItsResponseHasCome) {
  nvme::Sqe slow = sqe_with(IoOpcode::kWrite, 1, 0, 8, io().keyed(0, 4096));
  slow.nsid = 2;  // while it takes its time the queue is not at rest, and responses are not signalled
  io().post(slow);
  for (int i = 0; i < 100; ++i) {  // more than the queue has entries
    io().send(sqe_with(IoOpcode::kRead, 5, 0, 8, io().keyed(4096, 4096)));
    EXPECT_TRUE(io().status().ok()) << i;
  }
}

struct WrongSgl {
  const char* name;
  nvme::Sqe (*make)(TestQueue& queue, Bytes& after);
  nvme::Status expected;
};

class RdmaWrongSgl : public ::testing::TestWithParam<WrongSgl> {};

TEST_P(RdmaWrongSgl, FailsTheCommandAndNotTheConnection) {
  TestServer server;
  Session session(server);
  Bytes after;
  const nvme::Sqe sqe = GetParam().make(*session.io, after);
  session.io->send(sqe, after);
  EXPECT_TRUE(session.io->status().is(GetParam().expected));
  session.io->send(sqe_with(IoOpcode::kRead, 4, 0, 8, session.io->keyed(0, 4096)));
  EXPECT_TRUE(session.io->status().ok());
}

Bytes list_bytes(const std::vector<SglDescriptor>& list) {
  const auto bytes = std::as_bytes(std::span(list));
  return {bytes.begin(), bytes.end()};
}
nvme::Sqe write_by(const SglDescriptor& sgl) { return sqe_with(IoOpcode::kWrite, 3, 0, 8, sgl); }

constexpr WrongSgl kWrongSgls[] = {
    {"Type", [](TestQueue& q, Bytes&) { auto s = q.keyed(0, 4096); s.type = SglDescriptor::kTransportDataBlock; return write_by(s); }, nvme::status::kSglTypeInvalid},
    {"LengthOfKeyed", [](TestQueue& q, Bytes&) { return write_by(q.keyed(0, 4095)); }, nvme::status::kSglLengthInvalid},
    {"InCapsuleBeyondTheCapsule", [](TestQueue&, Bytes& after) { after.resize(4095); return write_by(in_capsule(4096)); }, nvme::status::kSglLengthInvalid},
    {"InCapsuleOffsetBeyondTheCapsule", [](TestQueue&, Bytes& after) { after.resize(16); return write_by(in_capsule(4096, 17)); }, nvme::status::kSglOffsetInvalid},
    {"ListOfNothing", [](TestQueue&, Bytes&) { return write_by(list_of(0)); }, nvme::status::kInvalidSglSegment},
    {"ListOfOddSize", [](TestQueue&, Bytes& after) { auto s = list_of(1); s.length = 15; after.resize(16); return write_by(s); }, nvme::status::kInvalidSglSegment},
    {"ListBeyondTheCapsule", [](TestQueue& q, Bytes& after) { after = list_bytes({q.keyed(0, 4096)}); return write_by(list_of(2)); }, nvme::status::kSglOffsetInvalid},
    {"ListOfSeventeen", [](TestQueue&, Bytes& after) { after.resize(17 * 16); return write_by(list_of(17)); }, nvme::status::kInvalidSglCount},
    {"ListWithinAList", [](TestQueue&, Bytes& after) { after = list_bytes({list_of(1)}); return write_by(list_of(1)); }, nvme::status::kSglTypeInvalid},
};
INSTANTIATE_TEST_SUITE_P(All, RdmaWrongSgl, ::testing::ValuesIn(kWrongSgls), [](const auto& each) { return each.param.name; });

// --- how a queue begins and ends -----------------------------------------------------------------------------------------------------------------

TEST(RdmaConnection, IsAcceptedWithTheReceivesThatItReserves) {
  TestServer server;
  TestQueue queue(server, {});
  EXPECT_TRUE(queue.is_established);
  EXPECT_EQ(decode_accept(queue.private_data), 32);
}

TEST(RdmaConnection, CapsulesBeforeItIsEstablishedAreKept) {
  TestServer server;
  server.fabric.is_establishment_held = true;
  TestQueue queue(server, {});
  ASSERT_TRUE(queue.is_established);
  EXPECT_FALSE(queue.connect_nvme().decoded_status().ok());  // no answer yet
  server.fabric.release_established();
  server.run();
  EXPECT_TRUE(queue.status().ok());
}

TEST(RdmaConnection, EndsWhenItsConnectIsOfAnotherQueue) {
  TestServer server;
  TestQueue queue(server, {});
  queue.connect_nvme(0xffff, 1);
  EXPECT_TRUE(queue.is_ended);
  EXPECT_EQ(server.acceptor->totals().violations, 1u);
}

TEST(RdmaConnection, EndsAtACapsuleThatIsTooShort) {
  TestServer server;
  Session session(server);
  session.io->send_short(63);
  EXPECT_TRUE(session.io->is_ended);
  EXPECT_FALSE(session.admin.is_ended);
}

TEST(RdmaConnection, EndsAtAWrongKeyAndGivesEverythingBack) {
  TestServer server;
  Session session(server);
  for (const IoOpcode opcode : {IoOpcode::kRead, IoOpcode::kWrite}) {
    TestQueue queue(server, {.qid = uint16_t(opcode == IoOpcode::kRead ? 2 : 3)});
    ASSERT_TRUE(queue.connect_nvme(1).decoded_status().ok());
    queue.send(sqe_with(opcode, 3, 0, 8, queue.keyed_by(0xdead, 0, 4096)));
    server.run();
    EXPECT_TRUE(queue.is_ended);
  }
  EXPECT_FALSE(session.io->is_ended);
}

TEST(RdmaConnection, APeerThatDoesNotConnectInTimeIsDisconnected) {
  TestServer server;
  TestQueue queue(server, {});
  server.target.advance(milliseconds(server.limits.handshake_ms) + milliseconds(10));
  EXPECT_TRUE(queue.is_ended);
  EXPECT_EQ(server.acceptor->totals().timeouts, 1u);
}

TEST(RdmaConnection, AHostThatLeavesInTheMidstOfItsWritesLeavesNothingBehind) {
  TestServer server;
  {
    Session session(server);
    for (uint16_t cid = 10; cid < 30; ++cid) {
      nvme::Sqe sqe = sqe_with(IoOpcode::kWrite, cid, cid * 8, 8, session.io->keyed(0, 4096));
      sqe.nsid = 2;  // takes its time
      session.io->post(sqe);
    }
    server.run();
    session.io->disconnect();
  }
  server.target.advance(tcp::testing::kWriteDelay);
  EXPECT_EQ(server.acceptor->totals().connections, 0u);
}

TEST(RdmaConnection, IsDestroyedInTimeAlsoWhenTheDeviceNeverSaysThatItIsDrained) {
  TestServer server;
  server.fabric.is_drain_silent = true;
  TestQueue queue(server, {});
  queue.disconnect();
  EXPECT_EQ(server.acceptor->totals().connections, 1u);
  server.target.advance(milliseconds(server.limits.rdma_drain_ms) + milliseconds(10));
  EXPECT_EQ(server.acceptor->totals().connections, 0u);
}

TEST(RdmaConnection, CommandsAreHomeBeforeTheDeviceHasLetGoOfTheirBuffers) {
  TestServer server;
  Session session(server);
  nvmf::Shard& shard = *server.target.target->shards().front();
  server.fabric.is_drain_silent = true;
  session.io->post(sqe_with(IoOpcode::kWrite, 3, 0, 8, session.io->keyed(0, 4096)));
  server.target.reactor.run_once();  // the READ is posted, and not done
  ASSERT_EQ(shard.buffers().bytes_in_use(Share::kTransfer), 4096u);
  session.io->disconnect();
  EXPECT_EQ(shard.queue_count(), 1u);  // the admin queue
  EXPECT_EQ(shard.buffers().bytes_in_use(Share::kTransfer), 4096u);
  EXPECT_EQ(server.acceptor->totals().connections, 2u);
  server.target.advance(milliseconds(server.limits.rdma_drain_ms) + milliseconds(10));
  EXPECT_EQ(shard.buffers().bytes_in_use(Share::kTransfer), 0u);
  EXPECT_EQ(server.acceptor->totals().connections, 1u);
}

TEST(RdmaConnection, AHostThatIsNotHeardOfIsNotWaitedForWithItsResponses) {
  TestServer server;
  Session session(server);
  nvme::Sqe keep_alive{};
  keep_alive.opcode = uint8_t(nvme::AdminOpcode::kSetFeatures);
  keep_alive.flags = 0x40;
  keep_alive.cid = 7;
  keep_alive.cdw10 = uint32_t(nvme::Feature::kKeepAliveTimer);
  keep_alive.cdw11 = 1000u;
  keep_alive.sgl = session.admin.keyed(0, 0);
  session.admin.send(keep_alive);
  ASSERT_TRUE(session.admin.status().ok());
  session.admin.post(sqe_with(IoOpcode(uint8_t(nvme::AdminOpcode::kIdentify)), 8, 0, 0, session.admin.keyed(0, 4096)));
  server.target.reactor.run_once();  // the response is posted, and not done
  server.fabric.is_silent = true;
  server.target.advance(milliseconds(1600));  // KATO and a half, and a moment; rdma_linger_ms is a second more
  EXPECT_EQ(server.acceptor->totals().connections, 0u);
}

TEST(RdmaConnection, ADisconnectCommandIsAnsweredBeforeTheQueueEnds) {
  TestServer server;
  Session session(server);
  fabrics::DisconnectSqe sqe{};
  sqe.opcode = nvme::kFabricsOpcode;
  sqe.flags = 0x40;
  sqe.cid = 9;
  sqe.fctype = uint8_t(fabrics::Fctype::kDisconnect);
  session.io->send(reinterpret_cast<const nvme::Sqe&>(sqe));
  EXPECT_TRUE(session.io->status().ok());
  EXPECT_TRUE(session.io->is_ended);
}

TEST(RdmaConnection, ACapsuleWithoutABufferWaitsAndThoseBehindItKeepTheirOrder) {
  Limits limits = rdma_limits();
  limits.in_capsule_share_bytes = 8192;  // one buffer for 8 KiB, two of 4
  limits.account_part = 1;
  TestServer server(limits);
  Session session(server);
  const auto slow_write = [&](uint16_t cid) {
    nvme::Sqe sqe = sqe_with(IoOpcode::kWrite, cid, cid, 1, in_capsule(kBlockSize));
    sqe.nsid = 2;
    session.io->post(sqe, pattern(kBlockSize, uint8_t(cid)));
  };
  for (uint16_t cid = 3; cid < 7; ++cid) slow_write(cid);
  session.io->post(sqe_with(IoOpcode::kRead, 7, 0, 1, session.io->keyed(0, kBlockSize)));
  server.run();
  EXPECT_FALSE(session.io->take_response());
  std::vector<uint16_t> cids;
  for (int i = 0; i < 4; ++i) {
    server.target.advance(tcp::testing::kWriteDelay);
    while (const auto response = session.io->take_response()) cids.push_back(response->cqe.cid);
  }
  EXPECT_EQ(cids, (std::vector<uint16_t>{3, 4, 5, 7, 6}));
}

}  // namespace
}  // namespace weft::rdma
