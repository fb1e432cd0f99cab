// The target of tcp/test_support.h behind an RDMA acceptor on verbs in memory, and a host's hands on queues of it: for the tests of this folder. Not
// part of any library.
#pragma once
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "transport/rdma/acceptor.h"
#include "transport/tcp/test_support.h"
#include "verbs/memory_verbs.h"

namespace weft::rdma::testing {

using tcp::testing::Bytes;
using tcp::testing::io_sqe;
using tcp::testing::kBlockSize;
using tcp::testing::pattern;
using tcp::testing::small_limits;
using tcp::testing::TestTarget;

inline Limits rdma_limits() {
  Limits limits = small_limits();
  limits.rdma_receives = 512;
  limits.rdma_completions = 4096;
  return limits;
}

/// A target, a network, and the host's verbs; everything turns on one reactor.
struct TestWorld {
  explicit TestWorld(const Limits& l) : limits(l), target(limits) { target.reactor.add(host_verbs); }
  ~TestWorld() { target.reactor.remove(host_verbs); }
  void run() { target.run(); }

  Limits limits;
  TestTarget target;
  verbs::MemoryFabric fabric;
  verbs::MemoryVerbs host_verbs{fabric};
};

/// Its listener, on verbs of the target's. `V` is made of a MemoryFabric, and a poller.
template <verbs::Verbs V>
class TestServerOn : public TestWorld {
 public:
  explicit TestServerOn(const Limits& l = rdma_limits()) : TestWorld(l) {
    target.reactor.add(target_verbs);
    const typename Acceptor<V>::Room room{target_verbs, target.memory, *target.target->shards().front()};
    acceptor.emplace(limits, std::span{&room, 1});
    WEFT_ASSERT(acceptor->listen({"127.0.0.1", 4420, false}).has_value());
  }
  ~TestServerOn() {
    bool is_stopped = false;
    acceptor->stop([&] { is_stopped = true; });
    for (int i = 0; i < 200 && !is_stopped; ++i) target.advance(milliseconds(50));
    WEFT_ASSERT(is_stopped);
    target.check_quiescent();
    acceptor.reset();
    target.reactor.remove(target_verbs);
  }

  V target_verbs{fabric};
  std::optional<Acceptor<V>> acceptor;
};
using TestServer = TestServerOn<verbs::MemoryVerbs>;

/// A queue of a host: one domain, one queue pair, memory that the target may reach.
class TestQueue final : private verbs::DomainEvents, private verbs::QueuePairEvents, private verbs::ResolveEvents<verbs::MemoryHandle> {
 public:
  static constexpr size_t kDataBytes = 4 << 20;
  static constexpr size_t kCapsuleMax = 64 + 8192;
  static constexpr uint32_t kReceives = 256;
  struct Options {
    uint16_t qid = 0;
    uint32_t entries = 32;
    uint16_t answered_reads = 16;
    std::optional<Bytes> private_data{};  // instead of what the others say
    bool connects = true;
  };
  struct Response {
    nvme::Cqe cqe;
    std::optional<uint32_t> invalidated;
  };

  TestQueue(TestWorld& server, Options options) : options_(std::move(options)), server_(server), memory_(kDataBytes), receives_(kReceives * sizeof(nvme::Cqe)), capsules_(kReceives * kCapsuleMax) {
    domain_ = server.host_verbs.open(server.fabric.device,
                                     {.completion_entries = 4096,
                                      .receive_entries = kReceives,
                                      .regions = {{memory_, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE},
                                                  {receives_, IBV_ACCESS_LOCAL_WRITE},
                                                  {capsules_, IBV_ACCESS_LOCAL_WRITE}}},
                                     *this);
    server.run();
    server.host_verbs.resolve({.to = {"127.0.0.1", 4420, false}}, *this);
    server.run();
  }
  ~TestQueue() {
    if (pair_ != nullptr && !is_retired) {
      pair_->disconnect();
      server_.run();
      pair_->retire();
      server_.run();
    }
    pair_.reset();
    domain_->close();
    server_.run();
  }

  void connect() {
    const RequestData data = encode(Request{.qid = options_.qid, .receive_entries = uint16_t(options_.entries), .send_entries = options_.entries, .cntlid = 0});
    const auto bytes = bytes_of(data);
    const Bytes said = options_.private_data.value_or(Bytes(bytes.begin(), bytes.end()));
    pair_->connect({.private_data = said, .answered_reads = options_.answered_reads});
    server_.run();
  }
  void disconnect() {
    pair_->disconnect();
    server_.run();
  }
  std::span<std::byte> data() { return memory_; }
  uint32_t key() const { return domain_->remote_key(0); }

  /// One keyed descriptor of the host's memory at `offset`.
  nvme::SglDescriptor keyed(size_t offset, uint32_t length, uint8_t type = nvme::SglDescriptor::kKeyedDataBlock) { return keyed_by(key(), offset, length, type); }
  nvme::SglDescriptor keyed_by(uint32_t rkey, size_t offset, uint32_t length, uint8_t type = nvme::SglDescriptor::kKeyedDataBlock) {
    nvme::SglDescriptor descriptor =
        descriptor_of({.address = reinterpret_cast<uintptr_t>(memory_.data() + offset), .length = length, .key = rkey, .is_to_invalidate = false});
    descriptor.type = type;
    return descriptor;
  }
  /// Hands a capsule to the device without turning anything.
  void post(const nvme::Sqe& sqe, std::span<const std::byte> after = {}) {
    const size_t place = (next_capsule_++ % kReceives) * kCapsuleMax;
    std::memcpy(capsules_.data() + place, &sqe, sizeof sqe);
    if (!after.empty()) std::memcpy(capsules_.data() + place + sizeof sqe, after.data(), after.size());
    ibv_sge piece{.addr = reinterpret_cast<uint64_t>(capsules_.data() + place), .length = uint32_t(sizeof sqe + after.size()), .lkey = domain_->local_key(2)};
    ibv_send_wr request{.wr_id = 1, .sg_list = &piece, .num_sge = 1, .opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED};
    WEFT_ASSERT(pair_->post_send(&request).error_number == 0);
  }
  /// A capsule of `size` zeroes, less than an SQE.
  void send_short(uint32_t size) {
    ibv_sge piece{.addr = reinterpret_cast<uint64_t>(capsules_.data()), .length = size, .lkey = domain_->local_key(2)};
    ibv_send_wr request{.wr_id = 1, .sg_list = &piece, .num_sge = 1, .opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED};
    WEFT_ASSERT(pair_->post_send(&request).error_number == 0);
    server_.run();
  }
  void send(const nvme::Sqe& sqe, std::span<const std::byte> after = {}) {
    post(sqe, after);
    server_.run();
    collect();
  }
  void collect() {
    std::array<ibv_wc, 32> completions;
    for (int count = domain_->poll(completions); count > 0; count = domain_->poll(completions)) {
      for (int i = 0; i < count; ++i) take(completions[size_t(i)]);
    }
  }
  std::optional<Response> take_response() {
    collect();
    if (responses_.empty()) return std::nullopt;
    const Response response = responses_.front();
    responses_.pop_front();
    return response;
  }
  /// Of the only response; Internal Error when there is none.
  nvme::Status status() {
    const auto response = take_response();
    return response ? response->cqe.decoded_status() : nvme::status::kInternalError;
  }

  /// The Connect of this queue, its data fetched by READ from the start of data().
  nvme::Cqe connect_nvme(uint16_t cntlid = 0xffff, std::optional<uint16_t> qid = {}) {
    fabrics::ConnectData connect{};
    connect.hostid.fill(std::byte{7});
    connect.cntlid = cntlid;
    std::memcpy(connect.subnqn.data(), tcp::testing::kSubsystemNqn, sizeof tcp::testing::kSubsystemNqn);
    std::memcpy(connect.hostnqn.data(), tcp::testing::kHostNqn, sizeof tcp::testing::kHostNqn);
    std::memcpy(memory_.data(), &connect, sizeof connect);
    fabrics::ConnectSqe sqe{};
    sqe.opcode = nvme::kFabricsOpcode;
    sqe.flags = 0x40;
    sqe.cid = 1;
    sqe.fctype = uint8_t(fabrics::Fctype::kConnect);
    sqe.qid = qid.value_or(options_.qid);
    sqe.sqsize = uint16_t(options_.entries - 1);
    sqe.sgl = keyed(0, sizeof connect);
    send(reinterpret_cast<const nvme::Sqe&>(sqe));
    const auto response = take_response();
    return response ? response->cqe : nvme::Cqe{.dw0 = {}, .dw1 = {}, .sqhd = {}, .sqid = {}, .cid = {}, .status = nvme::status::kInternalError.to_cqe()};
  }
  void enable() {
    fabrics::PropertySqe sqe{};
    sqe.opcode = nvme::kFabricsOpcode;
    sqe.flags = 0x40;
    sqe.cid = 2;
    sqe.fctype = uint8_t(fabrics::Fctype::kPropertySet);
    sqe.ofst = 0x14;
    sqe.value = 0x460001;
    send(reinterpret_cast<const nvme::Sqe&>(sqe));
    WEFT_ASSERT(status().ok());
  }

  bool is_established = false;
  bool is_ended = false;
  bool is_retired = false;
  verbs::Ending::Kind ending = verbs::Ending::Kind::kDisconnected;
  Bytes private_data;  // of the acceptance or the rejection

 private:
  void take(const ibv_wc& completion) {
    if ((completion.wr_id & kReceiveBit) == 0 || completion.status != IBV_WC_SUCCESS) return;
    const size_t slot = completion.wr_id & ~kReceiveBit;
    Response response{};
    WEFT_ASSERT(completion.byte_len == sizeof(nvme::Cqe));
    std::memcpy(&response.cqe, receives_.data() + slot * sizeof(nvme::Cqe), sizeof(nvme::Cqe));
    if ((completion.wc_flags & IBV_WC_WITH_INV) != 0) response.invalidated = completion.invalidated_rkey;
    responses_.push_back(response);
    post_receive(uint32_t(slot));
  }
  void post_receive(uint32_t slot) {
    ibv_sge piece{.addr = reinterpret_cast<uint64_t>(receives_.data() + slot * sizeof(nvme::Cqe)), .length = sizeof(nvme::Cqe), .lkey = domain_->local_key(1)};
    ibv_recv_wr request{.wr_id = kReceiveBit | slot, .next = nullptr, .sg_list = &piece, .num_sge = 1};
    WEFT_ASSERT(domain_->post_receive(&request).error_number == 0);
  }
  void on_open(Result<void> result) override {
    WEFT_ASSERT(result.has_value());
    for (uint32_t slot = 0; slot < kReceives; ++slot) post_receive(slot);
  }
  void on_completions() override {}
  void on_receives_low() override {}
  void on_removed() override {}
  void on_closed() override {}
  void on_resolved(verbs::MemoryHandle handle, const verbs::Device&) override {
    pair_ = server_.host_verbs.adopt(*domain_, std::move(handle), {.send_entries = 512, .receive_entries = kReceives, .inline_bytes = 0}, *this);
  }
  void on_unresolved(Error) override {}
  void on_ready(Result<void>) override {
    if (options_.connects) connect();
  }
  void on_established(const verbs::Agreement& agreement) override {
    is_established = true;
    private_data.assign(agreement.private_data.begin(), agreement.private_data.end());
  }
  void on_ended(const verbs::Ending& end) override {
    is_ended = true;
    ending = end.kind;
    if (!end.private_data.empty()) private_data.assign(end.private_data.begin(), end.private_data.end());
  }
  void on_drained() override {}
  void on_retired() override { is_retired = true; }

  Options options_;
  TestWorld& server_;
  Bytes memory_;
  Bytes receives_;
  Bytes capsules_;
  size_t next_capsule_ = 0;
  std::unique_ptr<verbs::MemoryDomain> domain_;
  std::unique_ptr<verbs::MemoryQueuePair> pair_;
  std::deque<Response> responses_;
};

/// An admin queue and a live I/O queue.
class Session {
 public:
  explicit Session(TestWorld& server, uint32_t entries = 32) : admin(server, {}) {
    const nvme::Cqe connected = admin.connect_nvme();
    WEFT_ASSERT(connected.decoded_status().ok());
    admin.enable();
    io.emplace(server, TestQueue::Options{.qid = 1, .entries = entries});
    WEFT_ASSERT(io->connect_nvme(uint16_t(uint32_t{connected.dw0})).decoded_status().ok());
  }
  TestQueue admin;
  std::optional<TestQueue> io;
};

}  // namespace weft::rdma::testing
