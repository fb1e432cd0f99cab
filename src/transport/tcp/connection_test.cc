// Connections over the real target with a RAM namespace: every way of moving data, at every size of segment.
#include "transport/tcp/connection.h"

#include <gtest/gtest.h>

#include "transport/tcp/test_support.h"

namespace weft::tcp {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit
using nvme::IoOpcode;
using nvme::SglDescriptor;

/// An admin queue and a live I/O queue.
class Session {
 public:
  Session(TestTarget& target, const PeerOptions& options, uint8_t cattr) : admin(target, {}), io(target, options) {
    admin.send(ic_req({}));
    EXPECT_EQ(admin.take_pdu().size(), sizeof(IcResp));
    admin.send(connect_capsule(1, {}, {}));
    const auto connected = completion_of(admin.take_pdu());
    EXPECT_TRUE(connected && connected->decoded_status().ok());
    admin.send(property_set(2, 0x14, 0x460001, {}));
    EXPECT_TRUE(completion_of(admin.take_pdu())->decoded_status().ok());
    io.send(ic_req(options));
    EXPECT_EQ(io.take_pdu().size(), sizeof(IcResp));
    io.send(connect_capsule(1, {.qid = 1, .sqsize = 15, .cntlid = uint16_t(uint32_t{connected->dw0}), .cattr = cattr}, options));
    const auto io_connected = completion_of(io.take_pdu());
    EXPECT_TRUE(io_connected && io_connected->decoded_status().ok());
  }
  TestPeer admin;
  TestPeer io;
};

struct Variant {
  const char* name;
  PeerOptions options;
  uint8_t cattr;
};

class DataMovement : public ::testing::TestWithParam<Variant> {
 protected:
  nvme::Status write_in_capsule(Session& session, uint64_t slba, const Bytes& data) {
    session.io.send(capsule(io_sqe(IoOpcode::kWrite, 3, slba, uint32_t(data.size() / kBlockSize), SglDescriptor::kDataBlockOffset), data, options_));
    return status_of(session.io.take_pdu());
  }
  nvme::Status write_by_r2t(Session& session, uint64_t slba, const Bytes& data, size_t piece) {
    session.io.send(capsule(io_sqe(IoOpcode::kWrite, 4, slba, uint32_t(data.size() / kBlockSize), SglDescriptor::kTransportDataBlock), {}, options_));
    const Bytes request = session.io.take_pdu();
    const auto* r2t = view<R2t>(request);
    EXPECT_TRUE(r2t != nullptr && PduType(r2t->ch.type) == PduType::kR2t);
    EXPECT_EQ(uint32_t{r2t->r2to}, 0u);
    EXPECT_EQ(uint32_t{r2t->r2tl}, data.size());
    for (size_t at = 0; at < data.size(); at += piece) {
      const size_t size = std::min(piece, data.size() - at);
      DataPdu header{};
      header.cccid = 4;
      header.ttag = r2t->ttag;
      header.datao = uint32_t(at);
      header.datal = uint32_t(size);
      session.io.send(pdu(PduType::kH2cData, header, at + size == data.size() ? kFlagLast : 0, std::span(data).subspan(at, size), options_));
    }
    return status_of(session.io.take_pdu());
  }
  Bytes read(Session& session, uint64_t slba, size_t size) {
    session.io.send(capsule(io_sqe(IoOpcode::kRead, 5, slba, uint32_t(size / kBlockSize), SglDescriptor::kTransportDataBlock), {}, options_));
    const Bytes response = session.io.take_pdu();
    const auto* header = view<DataPdu>(response);
    if (header == nullptr || PduType(header->ch.type) != PduType::kC2hData) return {};
    EXPECT_EQ(uint16_t{header->cccid}, 5);
    EXPECT_EQ(header->ch.pdo % ((options_.hpda + 1) * 4), 0);
    EXPECT_TRUE((header->ch.flags & kFlagLast) != 0);
    const bool is_elided = (header->ch.flags & kFlagSuccess) != 0;
    EXPECT_EQ(is_elided, GetParam().cattr != 0);
    const auto whole = std::span(response);
    if (options_.has_header_digest) {
      EXPECT_EQ(load_le32(response.data() + sizeof(DataPdu)), crc32c(whole.first(sizeof(DataPdu))));
    }
    const auto data = whole.subspan(header->ch.pdo, header->datal);
    if (options_.has_data_digest) {
      EXPECT_EQ(load_le32(data.data() + data.size()), crc32c(data));
    }
    if (!is_elided) {
      EXPECT_TRUE(status_of(session.io.take_pdu()).ok());
    }
    EXPECT_TRUE(session.io.out.empty());
    return {data.begin(), data.end()};
  }
  nvme::Status status_of(const Bytes& response) {
    const auto completion = completion_of(response);
    EXPECT_TRUE(completion.has_value());
    return completion ? completion->decoded_status() : nvme::status::kInternalError;
  }

  PeerOptions options_ = GetParam().options;
  TestTarget target_{small_limits()};
};

TEST_P(DataMovement, WhatWasWrittenInCapsuleIsRead) {
  Session session(target_, options_, GetParam().cattr);
  const Bytes data = pattern(4096, 1);
  EXPECT_TRUE(write_in_capsule(session, 8, data).ok());
  EXPECT_EQ(read(session, 8, 4096), data);
}

TEST_P(DataMovement, WhatWasWrittenByR2tIsRead) {
  Session session(target_, options_, GetParam().cattr);
  const Bytes data = pattern(32768, 2);
  EXPECT_TRUE(write_by_r2t(session, 100, data, 12288).ok());
  EXPECT_EQ(read(session, 100, 32768), data);
}

/// Those of the variants that have data digests.
class WrongDataDigest : public DataMovement {};

TEST_P(WrongDataDigest, OfInCapsuleDataFailsTheCommandOnly) {
  Session session(target_, options_, GetParam().cattr);
  const Bytes data = pattern(512, 3);
  Bytes wrong = capsule(io_sqe(IoOpcode::kWrite, 3, 0, 1, SglDescriptor::kDataBlockOffset), data, options_);
  wrong.back() ^= std::byte{1};
  session.io.send(wrong);
  EXPECT_TRUE(status_of(session.io.take_pdu()).is(nvme::status::kTransientTransportError));
  EXPECT_EQ(read(session, 0, 512), Bytes(512));
  EXPECT_TRUE(write_in_capsule(session, 0, data).ok());
}

TEST_P(WrongDataDigest, OfH2cDataFailsTheCommandOnly) {
  Session session(target_, options_, GetParam().cattr);
  session.io.send(capsule(io_sqe(IoOpcode::kWrite, 4, 0, 8, SglDescriptor::kTransportDataBlock), {}, options_));
  const Bytes request = session.io.take_pdu();
  DataPdu header{};
  header.cccid = 4;
  header.ttag = view<R2t>(request)->ttag;
  header.datal = 4096;
  Bytes wrong = pdu(PduType::kH2cData, header, kFlagLast, pattern(4096, 4), options_);
  wrong.back() ^= std::byte{1};
  session.io.send(wrong);
  EXPECT_TRUE(status_of(session.io.take_pdu()).is(nvme::status::kTransientTransportError));
  EXPECT_EQ(read(session, 0, 4096), Bytes(4096));
}

constexpr Variant kPlain{"Plain", {}, 0};
constexpr Variant kFlowControlOff{"FlowControlOff", {}, fabrics::kCattrDisableSqFlowControl};
constexpr Variant kHeaderDigest{"HeaderDigest", {.has_header_digest = true}, 0};
constexpr Variant kDataDigest{"DataDigest", {.has_data_digest = true}, 0};
constexpr Variant kAligned{"BothDigestsAndAlignment", {.has_header_digest = true, .has_data_digest = true, .hpda = 15}, 0};
constexpr Variant kOddAlignment{"OddAlignment", {.hpda = 8}, 0};
constexpr Variant kLargestAlignment{"LargestAlignment", {.has_header_digest = true, .hpda = 31}, 0};
constexpr Variant kOneByte{"OneByteSegments", {.segment = 1, .window = 1}, 0};
constexpr Variant kOddSegments{"OddSegments", {.segment = 173, .window = 611, .has_header_digest = true, .has_data_digest = true, .hpda = 3}, fabrics::kCattrDisableSqFlowControl};
const auto kName = [](const auto& test) { return test.param.name; };

INSTANTIATE_TEST_SUITE_P(Variants, DataMovement,
                         ::testing::Values(kPlain, kFlowControlOff, kHeaderDigest, kDataDigest, kAligned, kOddAlignment, kLargestAlignment,
                                           kOneByte, kOddSegments),
                         kName);
INSTANTIATE_TEST_SUITE_P(Variants, WrongDataDigest, ::testing::Values(kDataDigest, kAligned, kOddSegments), kName);

TEST(Connection, RepeatsTheDigestsThatIcReqAsksForAndNeedsNoAlignment) {
  TestTarget target{small_limits()};
  for (int digests = 0; digests < 4; ++digests) {
    const PeerOptions options{.has_header_digest = (digests & 1) != 0, .has_data_digest = (digests & 2) != 0};
    TestPeer peer(target, options);
    peer.send(ic_req(options));
    const Bytes response = peer.take_pdu();
    const auto* ic_resp = view<IcResp>(response);
    ASSERT_NE(ic_resp, nullptr);
    EXPECT_EQ(ic_resp->dgst, digests);
    EXPECT_EQ(ic_resp->cpda, 0);
    EXPECT_EQ(uint32_t{ic_resp->maxh2cdata}, small_limits().maxh2cdata_bytes);
  }
}

TEST(Connection, APeerThatDoesNotConnectInTimeIsDropped) {
  TestTarget target{small_limits()};
  TestPeer peer(target, {});
  peer.send(ic_req({}));
  peer.advance(milliseconds(9900));
  EXPECT_FALSE(peer.is_closed);
  peer.advance(milliseconds(200));
  EXPECT_TRUE(peer.is_closed);
}

TEST(Connection, DataThatDoesNotComeAfterAnR2tEndsTheConnection) {
  TestTarget target{small_limits()};
  Session session(target, {}, 0);
  session.io.send(capsule(io_sqe(IoOpcode::kWrite, 4, 0, 8, SglDescriptor::kTransportDataBlock), {}, {}));
  session.io.advance(milliseconds(29900));
  EXPECT_FALSE(session.io.is_closed);
  session.io.advance(milliseconds(200));
  EXPECT_TRUE(session.io.is_closed);
}

TEST(Connection, ATerminationOfThePeerClosesWithoutAnAnswer) {
  TestTarget target{small_limits()};
  TestPeer peer(target, {});
  peer.send(ic_req({}));
  peer.take();
  TermReq request{};
  request.ch = {.type = uint8_t(PduType::kH2cTermReq), .flags = 0, .hlen = 24, .pdo = 0, .plen = 24};
  peer.send(bytes_of(request));
  EXPECT_TRUE(peer.is_closed);
  EXPECT_TRUE(peer.out.empty());
  EXPECT_EQ(target.shared->counters.peer_terminations.value(), 1u);
}

TEST(Connection, AfterATerminationNothingIsAnsweredAndTheTimerCloses) {
  TestTarget target{small_limits()};
  Session session(target, {}, 0);
  session.io.send(capsule(io_sqe(IoOpcode::kWrite, 4, 0, 8, SglDescriptor::kTransportDataBlock), {}, {}));
  session.io.take();
  session.io.send(ic_req({}));
  const Bytes termination = session.io.take_pdu();
  ASSERT_NE(view<TermReq>(termination), nullptr);
  EXPECT_EQ(PduType(view<TermReq>(termination)->ch.type), PduType::kC2hTermReq);
  session.io.send(capsule(io_sqe(IoOpcode::kRead, 5, 0, 1, SglDescriptor::kTransportDataBlock), {}, {}));
  EXPECT_TRUE(session.io.out.empty());
  EXPECT_EQ(session.io.wish(), net::Wish::kFinish);
  session.io.advance(milliseconds(30100));
  EXPECT_TRUE(session.io.is_closed);
}

/// In-capsule data for one command at a time, where the device keeps it.
Limits one_in_capsule_buffer() {
  Limits limits = small_limits();
  limits.in_capsule_share_bytes = limits.in_capsule_bytes;
  return limits;
}

/// A write of one block, `cid`, to the namespace that takes its time.
Bytes slow_write(uint16_t cid) {
  nvme::Sqe sqe = io_sqe(IoOpcode::kWrite, cid, cid, 1, SglDescriptor::kDataBlockOffset);
  sqe.nsid = 2;
  return capsule(sqe, pattern(kBlockSize, uint8_t(cid)), {});
}

TEST(Connection, AfterATerminationNothingIsAnsweredThoughTheAssociationEnds) {
  TestTarget target{small_limits()};
  Session session(target, {}, 0);
  session.io.send(slow_write(5));
  session.io.send(ic_req({}));
  ASSERT_NE(view<TermReq>(session.io.take_pdu()), nullptr);
  session.admin.hang_up();
  target.run();
  ASSERT_EQ(session.io.wish(), net::Wish::kCloseSent);  // before the write is done
  target.advance(kWriteDelay);
  session.io.settle();
  EXPECT_TRUE(session.io.is_closed);
  EXPECT_TRUE(session.io.out.empty());
}

std::vector<uint16_t> cids_of_completions(TestPeer& peer) {
  std::vector<uint16_t> cids;
  for (Bytes response = peer.take_pdu(); !response.empty(); response = peer.take_pdu()) {
    if (const auto completion = completion_of(response)) cids.push_back(completion->cid);
  }
  return cids;
}

TEST(Connection, ACapsuleWithoutABufferStopsTheReceivingUntilThereIsOne) {
  TestTarget target{one_in_capsule_buffer()};
  Session session(target, {}, 0);
  Bytes burst = slow_write(3);
  for (const Bytes& next : {slow_write(4), slow_write(5), capsule(io_sqe(IoOpcode::kRead, 6, 0, 1, SglDescriptor::kTransportDataBlock), {}, {})}) {
    burst.insert(burst.end(), next.begin(), next.end());
  }
  session.io.send(burst);
  EXPECT_EQ(session.io.connection().receive_max(), 0u);
  EXPECT_EQ(cids_of_completions(session.io), std::vector<uint16_t>{});
  session.io.advance(kWriteDelay);
  EXPECT_EQ(session.io.connection().receive_max(), 0u);
  EXPECT_EQ(cids_of_completions(session.io), (std::vector<uint16_t>{3}));
  session.io.advance(kWriteDelay);
  EXPECT_GT(session.io.connection().receive_max(), 0u);
  EXPECT_EQ(cids_of_completions(session.io), (std::vector<uint16_t>{4, 6}));
  session.io.advance(kWriteDelay);
  EXPECT_EQ(cids_of_completions(session.io), (std::vector<uint16_t>{5}));
}

TEST(Connection, AConnectionMayEndWhileACapsuleWaitsForABuffer) {
  TestTarget target{one_in_capsule_buffer()};
  Session session(target, {}, 0);
  Bytes burst = slow_write(3);
  const Bytes next = slow_write(4);
  burst.insert(burst.end(), next.begin(), next.end());
  session.io.send(burst);
  session.io.hang_up();
  target.advance(kWriteDelay);
  EXPECT_TRUE(session.io.is_finished);
}

TEST(Connection, MoreCommandsThanTheQueueHoldsEndTheConnection) {
  TestTarget target{small_limits()};
  Session session(target, {}, 0);
  Bytes burst;
  for (uint16_t cid = 10; cid < 27; ++cid) {  // the queue has 16 entries; writes wait for their data
    const Bytes one = capsule(io_sqe(IoOpcode::kWrite, cid, cid * 8, 8, SglDescriptor::kTransportDataBlock), {}, {});
    burst.insert(burst.end(), one.begin(), one.end());
  }
  session.io.send(burst);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(PduType(view<CommonHeader>(session.io.take_pdu())->type), PduType::kR2t);
  const Bytes termination = session.io.take_pdu();
  ASSERT_NE(view<TermReq>(termination), nullptr);
  EXPECT_EQ(uint16_t{view<TermReq>(termination)->fes}, uint16_t(Fes::kSequenceError));
}

TEST(Connection, ADuplicateCommandIdentifierFailsTheSecondCommand) {
  TestTarget target{small_limits()};
  Session session(target, {}, 0);
  const Bytes write = capsule(io_sqe(IoOpcode::kWrite, 4, 0, 8, SglDescriptor::kTransportDataBlock), {}, {});
  session.io.send(write);
  session.io.take();
  session.io.send(write);
  const auto completion = completion_of(session.io.take_pdu());
  ASSERT_TRUE(completion.has_value());
  EXPECT_TRUE(completion->decoded_status().is(nvme::status::kCommandIdConflict));
}

TEST(Connection, AReadKeepsItsBlocksWholeWhileNewerWritesGoOn) {
  TestTarget target{small_limits()};
  PeerOptions slow{.window = 1000};
  Session session(target, slow, 0);
  session.io.send(capsule(io_sqe(IoOpcode::kWrite, 3, 0, 8, SglDescriptor::kDataBlockOffset), Bytes(4096, std::byte{'a'}), slow));
  session.io.take();
  // The read stops after 1000 bytes, inside its second block; the write comes then; the read goes on after it.
  Bytes both = capsule(io_sqe(IoOpcode::kRead, 5, 0, 8, SglDescriptor::kTransportDataBlock), {}, slow);
  session.io.connection().received(both, target.reactor.now());
  std::vector<iovec> room(4);
  Bytes got;
  const auto pull = [&](size_t most) {
    size_t taken = 0;
    for (const iovec& piece : session.io.connection().pending(room)) {
      const size_t count = std::min(piece.iov_len, most - taken);
      const auto* from = static_cast<const std::byte*>(piece.iov_base);
      got.insert(got.end(), from, from + count);
      taken += count;
    }
    if (taken > 0) session.io.connection().sent(taken, target.reactor.now());
  };
  pull(1000);
  const Bytes write = capsule(io_sqe(IoOpcode::kWrite, 6, 0, 8, SglDescriptor::kDataBlockOffset), Bytes(4096, std::byte{'b'}), slow);
  session.io.connection().received(write, target.reactor.now());
  pull(100000);
  ASSERT_GE(got.size(), sizeof(DataPdu) + 4096);
  for (size_t block = 0; block < 8; ++block) {
    const auto begin = got.begin() + ptrdiff_t(sizeof(DataPdu) + block * kBlockSize);
    EXPECT_TRUE(std::all_of(begin, begin + kBlockSize, [&](std::byte b) { return b == *begin; })) << "block " << block;
  }
}

}  // namespace
}  // namespace weft::tcp
