// A queue over RDMA without a device: capsules looked at as they would be posted, responses and completions given by hand.
#include "host/rdma_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <deque>

#include "base/bytes.h"
#include "core/test_support.h"
#include "host/test_support.h"
#include "wire/rdma/segment.h"

namespace weft::host {
namespace {

using nvme::SglDescriptor;
using testing_support::KeptCommand;
using ::testing::HasSubstr;

constexpr uint32_t kCapsulesKey = 0x11, kDataKey = 0x22, kRemoteKey = 0xaabbccdd;
constexpr size_t kDataBytes = 64 << 10;

class RdmaConnectionTest : public ::testing::Test, public QueueEvents {
 protected:
  RdmaConnectionTest() {
    open({.kind = QueueKind::kIo, .qid = 3, .cntlid = 5, .entries = 4, .in_capsule_bytes = 4096, .descriptors_max = 16}, 1);
  }
  ~RdmaConnectionTest() override { drop(); }

  void open(const QueueOptions& options, uint16_t descriptors) {
    drop();
    connection_.emplace(options, *this, descriptors);
    ASSERT_TRUE(connection_->take_memory(memory_));
    connection_->established();
  }
  void drop() {
    if (!connection_) return;
    connection_->end(Error{Errc::kClosed, "over"});
    connection_->release_memory();
    connection_.reset();
  }
  nvme::Sqe sqe_of(const ibv_send_wr& request) const {
    nvme::Sqe sqe;
    std::memcpy(&sqe, reinterpret_cast<const void*>(request.sg_list[0].addr), sizeof sqe);
    return sqe;
  }
  /// A queue whose commands have windows.
  void open_with_windows() {
    open({.kind = QueueKind::kIo, .entries = 4, .in_capsule_bytes = 4096, .descriptors_max = 16}, 1);
    for (uint16_t i = 0; i < 4; ++i) {
      windows_[i].rkey = 0x1000u * (i + 1);
      connection_->set_window(i, windows_[i]);
    }
  }
  /// Submits, and the SEND completes.
  void send(KeptCommand& command) {
    connection_->submit(command);
    ibv_send_wr* chain = connection_->take_chain();
    ASSERT_NE(chain, nullptr);
    connection_->done({.wr_id = chain->wr_id, .status = IBV_WC_SUCCESS});
  }
  void respond(uint16_t cid) {
    nvme::Cqe cqe{};
    cqe.cid = cid;
    connection_->received(bytes_of(cqe), {.status = IBV_WC_SUCCESS});
  }
  /// Ends it; why, as the owner hears it.
  std::string reason() {
    connection_->end(Error{Errc::kClosed, "over"});
    return reason_;
  }
  std::span<std::byte> piece(size_t size) { return data_.try_take(size); }

  void on_open() override {}
  void on_closed(const Error& why) override { reason_ = why.what(); }

  weft::testing_support::HeapMemory source_;
  DataArea capsules_{std::move(*source_.map(64 << 10, "capsules"))};
  DataArea data_{std::move(*source_.map(kDataBytes, "data"))};
  ibv_mr region_{.context = {}, .pd = {}, .addr = {}, .length = 0, .handle = 0, .lkey = kDataKey, .rkey = kRemoteKey};
  RdmaMemory memory_{capsules_, data_, kCapsulesKey, region_};
  std::array<ibv_mw, 4> windows_{};
  std::optional<RdmaConnection> connection_;
  std::string reason_;
  std::deque<KeptCommand> kept_;  // until the connection has ended
};

TEST_F(RdmaConnectionTest, SaysInItsRequestWhatALinuxHostSays) {
  const auto request = rdma::decode_request(bytes_of(connection_->request()));
  ASSERT_TRUE(request);
  EXPECT_EQ(*request, (rdma::Request{.qid = 3, .receive_entries = 4, .send_entries = 4, .cntlid = 5}));
}

TEST_F(RdmaConnectionTest, ShortWritesTravelInTheCapsuleFromWhereTheyLie) {
  const auto data = piece(4096);
  KeptCommand& write = kept_.emplace_back();
  write.out = data;
  connection_->submit(write);
  const ibv_send_wr* request = connection_->take_chain();
  ASSERT_EQ(request->num_sge, 2);
  EXPECT_EQ(request->sg_list[0].length, sizeof(nvme::Sqe));
  EXPECT_EQ(request->sg_list[0].lkey, kCapsulesKey);
  EXPECT_EQ(request->sg_list[1].addr, reinterpret_cast<uintptr_t>(data.data()));
  EXPECT_EQ(request->sg_list[1].lkey, kDataKey);
  const nvme::Sqe sqe = sqe_of(*request);
  EXPECT_EQ(sqe.sgl.type, SglDescriptor::kDataBlockOffset);
  EXPECT_EQ(sqe.sgl.length, 4096u);
  EXPECT_EQ(sqe.psdt(), nvme::Psdt::kSglContiguousMetadata);
}

TEST_F(RdmaConnectionTest, OtherDataIsNamedByItsKey) {
  const auto data = piece(8192);
  KeptCommand& write = kept_.emplace_back();
  write.out = data;
  connection_->submit(write);
  const ibv_send_wr* request = connection_->take_chain();
  ASSERT_EQ(request->num_sge, 1);
  const rdma::Segment segment = rdma::segment_of(sqe_of(*request).sgl);
  EXPECT_EQ(segment.address, reinterpret_cast<uintptr_t>(data.data()));
  EXPECT_EQ(segment.length, 8192u);
  EXPECT_EQ(segment.key, kRemoteKey);
  EXPECT_FALSE(segment.is_to_invalidate);
}

TEST_F(RdmaConnectionTest, ACommandIsOverWhenItsResponseHasComeAndItsSendIsDone) {
  KeptCommand& command = kept_.emplace_back();
  connection_->submit(command);
  const uint64_t id = connection_->take_chain()->wr_id;
  respond(command.sqe.cid);
  EXPECT_EQ(command.completions, 0);
  connection_->done({.wr_id = id, .status = IBV_WC_SUCCESS});
  EXPECT_EQ(command.completions, 1);
}

TEST_F(RdmaConnectionTest, DataThatIsNotRegisteredGoesThroughAPieceThatIs) {
  std::vector<std::byte> elsewhere(8192, std::byte{0});
  KeptCommand& read = kept_.emplace_back();
  read.in = elsewhere;
  connection_->submit(read);
  const ibv_send_wr* request = connection_->take_chain();
  const rdma::Segment segment = rdma::segment_of(sqe_of(*request).sgl);
  auto* landed = reinterpret_cast<std::byte*>(segment.address);
  ASSERT_TRUE(data_.contains({landed, segment.length}));
  std::memset(landed, 0x5a, segment.length);
  connection_->done({.wr_id = request->wr_id, .status = IBV_WC_SUCCESS});
  respond(read.sqe.cid);
  EXPECT_EQ(elsewhere, std::vector<std::byte>(8192, std::byte{0x5a}));
  EXPECT_EQ(data_.try_take(kDataBytes).size(), kDataBytes);  // the piece is back
}

TEST_F(RdmaConnectionTest, WhereNoRegisteredMemoryIsLeftTheCommandFailsAndNotTheConnection) {
  piece(kDataBytes);
  std::vector<std::byte> elsewhere(512);
  KeptCommand& read = kept_.emplace_back();
  read.in = elsewhere;
  connection_->submit(read);
  EXPECT_EQ(connection_->take_chain(), nullptr);
  EXPECT_EQ(read.completions, 0);
  connection_->complete_unplaced();
  EXPECT_EQ(read.cqe.decoded_status(), nvme::status::kDataTransferError);
  EXPECT_TRUE(connection_->has_room());
}

TEST_F(RdmaConnectionTest, AResponseOfAnotherSizeEndsTheConnection) {
  const std::byte bytes[20]{};
  for (const size_t size : {0u, 15u, 17u, 20u}) {
    open({.kind = QueueKind::kIo, .entries = 4}, 1);
    connection_->received(std::span{bytes}.first(size), {.status = IBV_WC_SUCCESS});
    EXPECT_THAT(reason(), HasSubstr("bytes where 16 are due"));
  }
}

TEST_F(RdmaConnectionTest, AResponseToNothingEndsTheConnection) {
  KeptCommand& command = kept_.emplace_back();
  send(command);
  respond(uint16_t(command.sqe.cid + 1));
  EXPECT_THAT(reason(), HasSubstr("not outstanding"));
  EXPECT_EQ(command.cqe.decoded_status(), nvme::status::kAbortedByHost);
}

TEST_F(RdmaConnectionTest, ASecondResponseEndsTheConnection) {
  KeptCommand& command = kept_.emplace_back();
  send(command);
  const uint16_t cid = command.sqe.cid;
  respond(cid);
  respond(cid);
  EXPECT_EQ(command.completions, 1);
  EXPECT_THAT(reason(), HasSubstr("not outstanding"));
}

TEST_F(RdmaConnectionTest, AnInvalidationThatNobodyHasAskedForEndsTheConnection) {
  KeptCommand& command = kept_.emplace_back();
  send(command);
  nvme::Cqe cqe{};
  cqe.cid = command.sqe.cid;
  ibv_wc completion{.status = IBV_WC_SUCCESS};
  completion.wc_flags = IBV_WC_WITH_INV;
  completion.invalidated_rkey = kRemoteKey;
  connection_->received(bytes_of(cqe), completion);
  EXPECT_THAT(reason(), HasSubstr("invalidated the key aabbccddh"));
}

TEST_F(RdmaConnectionTest, AListOfDescriptorsCoversTheDataOnceAndInOrder) {
  open({.kind = QueueKind::kIo, .entries = 4, .in_capsule_bytes = 4096, .descriptors_max = 16}, 3);
  const auto data = piece(8192);
  KeptCommand& write = kept_.emplace_back();
  write.out = data;
  connection_->submit(write);
  const ibv_send_wr* request = connection_->take_chain();
  ASSERT_EQ(request->sg_list[0].length, sizeof(nvme::Sqe) + 3 * sizeof(SglDescriptor));
  EXPECT_EQ(sqe_of(*request).sgl.type, SglDescriptor::kLastSegmentOffset);
  uint64_t next = reinterpret_cast<uintptr_t>(data.data());
  for (size_t i = 0; i < 3; ++i) {
    SglDescriptor descriptor;
    std::memcpy(&descriptor, reinterpret_cast<const std::byte*>(request->sg_list[0].addr) + sizeof(nvme::Sqe) + i * sizeof descriptor, sizeof descriptor);
    const rdma::Segment segment = rdma::segment_of(descriptor);
    EXPECT_EQ(segment.address, next);
    next += segment.length;
  }
  EXPECT_EQ(next, reinterpret_cast<uintptr_t>(data.data()) + data.size());
}

TEST_F(RdmaConnectionTest, AResponseToACommandThatWasNotSentEndsTheConnection) {
  KeptCommand& command = kept_.emplace_back();
  connection_->submit(command);
  respond(command.sqe.cid);
  EXPECT_THAT(reason(), HasSubstr("not outstanding"));
}

TEST_F(RdmaConnectionTest, AWindowIsBoundBeforeItsCapsuleAndInvalidBeforeTheEnd) {
  open_with_windows();
  KeptCommand& read = kept_.emplace_back();
  read.in = piece(8192);
  connection_->submit(read);
  const ibv_send_wr* bind = connection_->take_chain();
  ASSERT_EQ(bind->opcode, IBV_WR_BIND_MW);
  EXPECT_EQ(bind->bind_mw.bind_info.length, 8192u);
  EXPECT_EQ(bind->bind_mw.bind_info.mw_access_flags, unsigned{IBV_ACCESS_REMOTE_WRITE});
  const ibv_send_wr* send = bind->next;
  const rdma::Segment segment = rdma::segment_of(sqe_of(*send).sgl);
  EXPECT_TRUE(segment.is_to_invalidate);
  EXPECT_EQ(segment.key, bind->bind_mw.rkey);
  EXPECT_EQ(segment.key, ibv_inc_rkey(bind->bind_mw.mw->rkey));
  connection_->done({.wr_id = send->wr_id, .status = IBV_WC_SUCCESS});
  respond(read.sqe.cid);
  EXPECT_EQ(read.completions, 0);
  const ibv_send_wr* invalidation = connection_->take_chain();
  ASSERT_EQ(invalidation->opcode, IBV_WR_LOCAL_INV);
  EXPECT_EQ(invalidation->invalidate_rkey, segment.key);
  connection_->done({.wr_id = invalidation->wr_id, .status = IBV_WC_SUCCESS});
  EXPECT_EQ(read.completions, 1);
}

TEST_F(RdmaConnectionTest, AWindowThatCannotBeBoundEndsTheConnection) {
  open_with_windows();
  KeptCommand& read = kept_.emplace_back();
  read.in = piece(8192);
  connection_->submit(read);
  connection_->done({.wr_id = connection_->take_chain()->wr_id, .status = IBV_WC_MW_BIND_ERR});
  EXPECT_THAT(reason(), HasSubstr("a memory window could not be bound"));
}

TEST_F(RdmaConnectionTest, DataInTheCapsuleNeedsNoWindow) {
  open_with_windows();
  KeptCommand& write = kept_.emplace_back();
  write.out = piece(4096);
  connection_->submit(write);
  EXPECT_EQ(connection_->take_chain()->opcode, IBV_WR_SEND);
}

}  // namespace
}  // namespace weft::host
