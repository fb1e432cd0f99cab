// A target at the level of verbs, for the tests of rdma_transport.h: it takes one connection, shows what has come, and sends what the test says, right
// or wrong. Not part of the library.
#pragma once
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "verbs/memory_verbs.h"
#include "wire/nvme/command.h"
#include "wire/rdma/private_data.h"
#include "wire/rdma/segment.h"

namespace weft::host::testing_support {

class ScriptedRdmaTarget final : private verbs::ListenerEvents<verbs::MemoryHandle>, private verbs::DomainEvents, private verbs::QueuePairEvents {
 public:
  static constexpr size_t kSlots = 8, kSlotBytes = 8192, kDataBytes = 64 << 10, kInlineBytes = 128;
  enum class Answer : uint8_t { kAccept, kReject, kNone };

  /// Listens at 127.0.0.1:4420. Whoever makes it turns `verbs`.
  explicit ScriptedRdmaTarget(verbs::MemoryFabric& fabric) : verbs(fabric), fabric_(fabric), capsules_(kSlots * kSlotBytes), data_(kDataBytes) {
    listener_ = std::move(*verbs.listen({"127.0.0.1", 4420, false}, *this));
  }
  ~ScriptedRdmaTarget() {
    if (domain_ != nullptr) domain_->close();
  }

  verbs::MemoryVerbs verbs;
  Answer answer = Answer::kAccept;
  std::vector<std::byte> refusal;  // private data of kReject
  bool is_ended = false;
  std::string host_address;  // of who has asked last

  /// The capsule that came next, or nothing.
  std::optional<std::vector<std::byte>> take_capsule() {
    poll();
    if (arrived_.empty()) return std::nullopt;
    auto capsule = std::move(arrived_.front());
    arrived_.pop_front();
    return capsule;
  }
  static nvme::Sqe sqe_of(std::span<const std::byte> capsule) {
    nvme::Sqe sqe;
    std::memcpy(&sqe, capsule.data(), sizeof sqe);
    return sqe;
  }
  void respond(uint16_t cid, std::optional<uint32_t> invalidated = {}) {
    nvme::Cqe cqe{};
    cqe.cid = cid;
    send(bytes_of(cqe), invalidated);
  }
  void send(std::span<const std::byte> bytes, std::optional<uint32_t> invalidated = {}) {
    ibv_send_wr request{};
    request.opcode = invalidated ? IBV_WR_SEND_WITH_INV : IBV_WR_SEND;
    request.invalidate_rkey = invalidated.value_or(0);
    request.send_flags = IBV_SEND_INLINE;  // so that data() stays as a WRITE before it needs it
    ibv_sge piece{.addr = reinterpret_cast<uintptr_t>(bytes.data()), .length = uint32_t(bytes.size()), .lkey = 0};
    post(request, piece);
  }
  /// The bytes go through data().
  void write(const rdma::Segment& segment, std::span<const std::byte> bytes) {
    std::memcpy(data_.data(), bytes.data(), bytes.size());
    reach(IBV_WR_RDMA_WRITE, segment, uint32_t(bytes.size()));
  }
  /// The bytes are in data() when it has succeeded.
  void read(const rdma::Segment& segment) { reach(IBV_WR_RDMA_READ, segment, segment.length); }
  std::span<const std::byte> data() const { return data_; }
  void disconnect() { pair_->disconnect(); }
  /// Of the work requests since the last call that have failed, the first one's; success when none has.
  ibv_wc_status take_failure() {
    poll();
    return std::exchange(failure_, IBV_WC_SUCCESS);
  }

 private:
  void reach(ibv_wr_opcode opcode, const rdma::Segment& segment, uint32_t length) {
    ibv_send_wr request{};
    request.opcode = opcode;
    request.wr.rdma = {.remote_addr = segment.address, .rkey = segment.key};
    ibv_sge piece{.addr = reinterpret_cast<uintptr_t>(data_.data()), .length = length, .lkey = domain_->local_key(1)};
    post(request, piece);
  }
  void post(ibv_send_wr& request, ibv_sge& piece) {
    request.wr_id = kSlots;
    request.sg_list = &piece;
    request.num_sge = 1;
    request.send_flags |= IBV_SEND_SIGNALED;
    WEFT_ASSERT(pair_->post_send(&request).error_number == 0);
  }
  void poll() {
    if (domain_ == nullptr) return;
    std::array<ibv_wc, 8> completions;
    for (int count = domain_->poll(completions); count > 0; count = domain_->poll(completions)) {
      for (const ibv_wc& completion : std::span{completions}.first(size_t(count))) take(completion);
    }
  }
  void take(const ibv_wc& completion) {
    if (completion.status != IBV_WC_SUCCESS) {
      if (failure_ == IBV_WC_SUCCESS) failure_ = completion.status;
    } else if (completion.wr_id < kSlots) {
      const auto* bytes = capsules_.data() + completion.wr_id * kSlotBytes;
      arrived_.emplace_back(bytes, bytes + completion.byte_len);
      post_receive(completion.wr_id);
    }
  }
  void post_receive(uint64_t slot) {
    ibv_sge piece{.addr = reinterpret_cast<uintptr_t>(capsules_.data() + slot * kSlotBytes), .length = kSlotBytes, .lkey = domain_->local_key(0)};
    ibv_recv_wr request{.wr_id = slot, .next = nullptr, .sg_list = &piece, .num_sge = 1};
    WEFT_ASSERT(domain_->post_receive(&request).error_number == 0);
  }

  void on_request(verbs::MemoryHandle handle, const verbs::RequestInfo& info) override {
    host_address = info.peer.host;
    if (answer == Answer::kReject) return verbs.reject(std::move(handle), refusal);
    request_.emplace(std::move(handle));
    if (answer == Answer::kNone) return;
    if (domain_ != nullptr) return on_open({});
    domain_ = verbs.open(fabric_.device, {.completion_entries = 64, .receive_entries = kSlots, .regions = {{capsules_, IBV_ACCESS_LOCAL_WRITE}, {data_, IBV_ACCESS_LOCAL_WRITE}}}, *this);
  }
  void on_open(Result<void> result) override {
    WEFT_ASSERT(result.has_value());
    if (pair_ == nullptr) {
      for (uint64_t slot = 0; slot < kSlots; ++slot) post_receive(slot);
    }
    pair_ = verbs.adopt(*domain_, std::move(*request_), {.send_entries = 16, .receive_entries = kSlots, .inline_bytes = kInlineBytes}, *this);
    request_.reset();
  }
  void on_completions() override {}
  void on_receives_low() override {}
  void on_removed() override {}
  void on_closed() override {}
  void on_ready(Result<void> result) override {
    WEFT_ASSERT(result.has_value());
    const rdma::AcceptData accepted = rdma::encode_accept(kSlots);
    pair_->accept({.private_data = bytes_of(accepted), .initiated_reads = 1});
  }
  void on_established(const verbs::Agreement&) override {}
  void on_ended(const verbs::Ending&) override { is_ended = true; }
  void on_drained() override {}
  void on_retired() override {}

  verbs::MemoryFabric& fabric_;
  std::vector<std::byte> capsules_;
  std::vector<std::byte> data_;
  std::unique_ptr<verbs::MemoryListener> listener_;
  std::optional<verbs::MemoryHandle> request_;  // waits for the domain, or for nothing
  std::unique_ptr<verbs::MemoryDomain> domain_;
  std::unique_ptr<verbs::MemoryQueuePair> pair_;
  std::deque<std::vector<std::byte>> arrived_;
  ibv_wc_status failure_ = IBV_WC_SUCCESS;
};

}  // namespace weft::host::testing_support
