// What every Verbs promises (src/verbs/verbs.h), asked of each through a small class, its *world*: a reactor for each of two sides, a Verbs on each, and
// what lets time pass. Who adds an implementation writes a world and instantiates VerbsConformance with it.
#pragma once
#include "core/reactor.h"
#include "verbs/receives.h"
#include "verbs/verbs.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstring>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft::conformance {

enum class VerbsSide : uint8_t { kTarget, kHost };

template <typename W>
concept VerbsWorld = verbs::Verbs<typename W::Verbs> && requires(W world, VerbsSide side) {
  { W::why_not() } -> std::same_as<std::string>;  // not empty: there is no device here, so nothing can be asked
  { W::kHasSharedReceives } -> std::convertible_to<bool>;  // else on_receives_low() never comes
  { world.verbs(side) } -> std::same_as<typename W::Verbs&>;
  { world.turn() };                                          // each reactor once, and a little time
  { world.listen_address() } -> std::same_as<net::Address>;  // of a device; port 0
};

/// One side of a connection with its domain: 64 KiB that the peer may reach, 64 KiB of capsules.
template <verbs::Verbs V>
class VerbsEnd final : public verbs::DomainEvents, public verbs::QueuePairEvents, public verbs::ResolveEvents<typename V::Handle> {
 public:
  static constexpr size_t kBytes = 64 << 10;
  static constexpr uint32_t kReceives = 16, kReceiveBytes = 1024;

  explicit VerbsEnd(V& verbs) : verbs_(verbs), data(kBytes), capsules(kBytes) {}

  void open(const verbs::Device& opened) {
    has_windows = opened.has_windows;
    domain = verbs_.open(opened,
                         {.completion_entries = 256,
                          .receive_entries = kReceives,
                          .regions = {{data, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | (has_windows ? int{IBV_ACCESS_MW_BIND} : 0)},
                                      {capsules, IBV_ACCESS_LOCAL_WRITE}}},
                         *this);
  }
  void adopt(typename V::Handle handle) {
    const verbs::QueuePairOptions options{.send_entries = 32, .receive_entries = kReceives, .inline_bytes = 16, .windows = has_windows ? 1u : 0u};
    pair = verbs_.adopt(*domain, std::move(handle), options, *this);
  }
  void post_receives() {
    std::array<ibv_recv_wr, kReceives> requests{};
    std::array<ibv_sge, kReceives> pieces{};
    for (uint32_t i = 0; i < kReceives; ++i) {
      pieces[i] = {.addr = reinterpret_cast<uint64_t>(capsules.data() + i * kReceiveBytes), .length = kReceiveBytes, .lkey = domain->local_key(1)};
      requests[i] = {.wr_id = verbs::kReceiveBit | i, .next = i + 1 < kReceives ? &requests[i + 1] : nullptr, .sg_list = &pieces[i], .num_sge = 1};
    }
    EXPECT_EQ(domain->post_receive(requests.data()).error_number, 0);
  }
  /// A work request on `size` bytes of data at `offset`.
  struct Work {
    ibv_wr_opcode opcode;
    uint64_t wr_id;
    size_t offset = 0;
    uint32_t size = 0;
    uint64_t remote_address = 0;
    uint32_t remote_key = 0;
    bool is_signalled = true;
  };
  verbs::Posted post(const std::vector<Work>& chain) {
    std::vector<ibv_send_wr> requests(chain.size());
    std::vector<ibv_sge> pieces(chain.size());
    for (size_t i = 0; i < chain.size(); ++i) {
      const Work& work = chain[i];
      pieces[i] = {.addr = reinterpret_cast<uint64_t>(data.data() + work.offset), .length = work.size, .lkey = domain->local_key(0)};
      requests[i] = {.wr_id = work.wr_id,
                     .next = i + 1 < chain.size() ? &requests[i + 1] : nullptr,
                     .sg_list = &pieces[i],
                     .num_sge = 1,
                     .opcode = work.opcode,
                     .send_flags = work.is_signalled ? unsigned(IBV_SEND_SIGNALED) : 0u};
      requests[i].wr.rdma = {.remote_addr = work.remote_address, .rkey = work.remote_key};
    }
    return pair->post_send(requests.data());
  }
  /// Binds the window to `size` bytes at `offset` for WRITEs; returns its key.
  uint32_t bind(size_t offset, size_t size) {
    ibv_mw& window = pair->window(0);
    ibv_send_wr request{};
    request.opcode = IBV_WR_BIND_MW;
    request.send_flags = IBV_SEND_SIGNALED;
    request.bind_mw = {.mw = &window,
                       .rkey = ibv_inc_rkey(window.rkey),
                       .bind_info = {.mr = domain->memory_region(0), .addr = address(offset), .length = size, .mw_access_flags = IBV_ACCESS_REMOTE_WRITE}};
    EXPECT_EQ(pair->post_send(&request).error_number, 0);
    return request.bind_mw.rkey;
  }
  void invalidate(uint32_t key) {
    ibv_send_wr request{};
    request.opcode = IBV_WR_LOCAL_INV;
    request.send_flags = IBV_SEND_SIGNALED;
    request.invalidate_rkey = key;
    EXPECT_EQ(pair->post_send(&request).error_number, 0);
  }
  void poll() {
    std::array<ibv_wc, 8> batch;
    // A receive is flushed only where the queue pair has a receive queue of its own; that is not asked about.
    const auto is_flushed_receive = [](const ibv_wc& each) { return (each.wr_id & verbs::kReceiveBit) != 0 && each.status == IBV_WC_WR_FLUSH_ERR; };
    for (int count = domain->poll(batch); count > 0; count = domain->poll(batch)) {
      std::ranges::remove_copy_if(std::span(batch).first(size_t(count)), std::back_inserter(completions), is_flushed_receive);
    }
  }
  uint64_t address(size_t offset) const { return reinterpret_cast<uint64_t>(data.data() + offset); }

  void on_open(Result<void> result) override {
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().what());
    is_open = true;
  }
  void on_completions() override { ++wakes; }
  void on_receives_low() override { is_low = true; }
  void on_removed() override {}
  void on_closed() override { is_closed = true; }
  void on_ready(Result<void> result) override {
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().what());
    is_ready = true;
  }
  void on_established(const verbs::Agreement& agreement) override {
    is_established = true;
    private_data.assign(agreement.private_data.begin(), agreement.private_data.end());
  }
  void on_ended(const verbs::Ending& end) override {
    EXPECT_FALSE(ending.has_value()) << "ended twice";
    ending = end.kind;
    private_data.assign(end.private_data.begin(), end.private_data.end());
  }
  void on_drained() override {
    EXPECT_TRUE(ending.has_value());
    is_drained = true;
  }
  void on_retired() override { is_retired = true; }
  void on_resolved(typename V::Handle handle, const verbs::Device& its_device) override {
    route.emplace(std::move(handle));
    device = &its_device;
  }
  void on_unresolved(Error error) override { ADD_FAILURE() << error.what(); }

  V& verbs_;
  std::vector<std::byte> data;
  std::vector<std::byte> capsules;
  std::unique_ptr<typename V::Domain> domain;
  std::unique_ptr<typename V::QueuePair> pair;
  std::optional<typename V::Handle> route;
  const verbs::Device* device = nullptr;
  std::vector<ibv_wc> completions;
  std::vector<std::byte> private_data;
  std::optional<verbs::Ending::Kind> ending;
  int wakes = 0;
  bool has_windows = false;
  bool is_open = false, is_low = false, is_closed = false, is_ready = false, is_established = false, is_drained = false, is_retired = false;
};

template <VerbsWorld W>
class VerbsConformance : public ::testing::Test, public verbs::ListenerEvents<typename W::Verbs::Handle> {
 protected:
  using V = typename W::Verbs;
  using End = VerbsEnd<V>;

  void SetUp() override {
    if (const std::string why = W::why_not(); !why.empty()) GTEST_SKIP() << why;
    world_.emplace();
    target_.emplace(world_->verbs(VerbsSide::kTarget));
    host_.emplace(world_->verbs(VerbsSide::kHost));
    auto listener = target_->verbs_.listen(world_->listen_address(), *this);
    ASSERT_TRUE(listener.has_value()) << listener.error().what();
    listener_ = std::move(*listener);
  }
  void TearDown() override {
    if (!world_) return;
    for (End* end : {&*host_, &*target_}) {
      end->route.reset();
      if (end->pair != nullptr && !end->is_retired) {
        end->pair->disconnect();
        EXPECT_TRUE(until([&] { return end->ending.has_value(); }));
        end->pair->retire();
        EXPECT_TRUE(until([&] { return end->is_retired; }));
      }
      end->pair.reset();
    }
    request_.reset();
    for (End* end : {&*host_, &*target_}) {
      if (end->domain == nullptr) continue;
      end->domain->close();
      EXPECT_TRUE(until([&] { return end->is_closed; }));
      end->domain.reset();
    }
    listener_.reset();
    for (int i = 0; i < 10; ++i) world_->turn();
  }
  void on_request(typename V::Handle handle, const verbs::RequestInfo& info) override {
    request_.emplace(std::move(handle));
    request_data_.assign(info.private_data.begin(), info.private_data.end());
    request_depth_ = info.initiator_depth;
    request_device_ = &info.device;
  }

  template <std::predicate F>
  bool until(F done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      world_->turn();
    }
    return true;
  }
  /// The host asks; on_request() has come.
  void ask() {
    host_->verbs_.resolve({.to = listener_->address(), .from = listener_->address().host}, *host_);
    ASSERT_TRUE(until([&] { return host_->route.has_value(); }));
    host_->open(*host_->device);
    ASSERT_TRUE(until([&] { return host_->is_open; }));
    host_->post_receives();
    host_->adopt(std::move(*host_->route));
    host_->route.reset();
    ASSERT_TRUE(until([&] { return host_->is_ready; }));
    host_->pair->connect({.private_data = bytes("a host asks"), .answered_reads = 1});
    ASSERT_TRUE(until([&] { return request_.has_value(); }));
  }
  void connect() {
    ask();
    target_->open(*request_device_);
    ASSERT_TRUE(until([&] { return target_->is_open; }));
    target_->post_receives();
    target_->adopt(std::move(*request_));
    request_.reset();
    ASSERT_TRUE(until([&] { return target_->is_ready; }));
    target_->pair->accept({.private_data = bytes("accepted"), .initiated_reads = 1});
    ASSERT_TRUE(until([&] { return host_->is_established && target_->is_established; }));
  }
  bool until_completions(End& end, size_t count) {
    return until([&] {
      end.poll();
      return end.completions.size() >= count;
    });
  }
  static std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
  static bool starts_with(const std::vector<std::byte>& data, std::string_view text) {
    return data.size() >= text.size() && std::memcmp(data.data(), text.data(), text.size()) == 0;
  }
  void fill(End& end, size_t offset, std::string_view text) { std::memcpy(end.data.data() + offset, text.data(), text.size()); }

  std::optional<W> world_;
  std::optional<End> target_, host_;
  std::unique_ptr<typename V::Listener> listener_;
  std::optional<typename V::Handle> request_;
  std::vector<std::byte> request_data_;
  uint16_t request_depth_ = 0;
  const verbs::Device* request_device_ = nullptr;
};

TYPED_TEST_SUITE_P(VerbsConformance);

TYPED_TEST_P(VerbsConformance, PrivateDataTravelsBothWays) {
  this->connect();
  if (this->HasFatalFailure()) return;
  EXPECT_TRUE(this->starts_with(this->request_data_, "a host asks"));
  EXPECT_EQ(this->request_depth_, 1);
  EXPECT_TRUE(this->starts_with(this->host_->private_data, "accepted"));
}

TYPED_TEST_P(VerbsConformance, ARefusalSaysWhy) {
  this->ask();
  if (this->HasFatalFailure()) return;
  this->target_->verbs_.reject(std::move(*this->request_), this->bytes("no"));
  this->request_.reset();
  ASSERT_TRUE(this->until([&] { return this->host_->ending.has_value(); }));
  EXPECT_EQ(*this->host_->ending, verbs::Ending::Kind::kRejected);
  EXPECT_TRUE(this->starts_with(this->host_->private_data, "no"));
}

TYPED_TEST_P(VerbsConformance, ASendFillsOneReceive) {
  this->connect();
  if (this->HasFatalFailure()) return;
  this->fill(*this->host_, 0, "a capsule");
  EXPECT_EQ(this->host_->post({{.opcode = IBV_WR_SEND, .wr_id = 7, .size = 9}}).error_number, 0);
  ASSERT_TRUE(this->until_completions(*this->target_, 1));
  const ibv_wc& received = this->target_->completions[0];
  EXPECT_EQ(received.status, IBV_WC_SUCCESS);
  EXPECT_EQ(received.byte_len, 9u);
  EXPECT_EQ(received.qp_num, this->target_->pair->number());
  EXPECT_EQ(std::memcmp(this->target_->capsules.data() + received.wr_id * this->target_->kReceiveBytes, "a capsule", 9), 0);
  ASSERT_TRUE(this->until_completions(*this->host_, 1));
  EXPECT_EQ(this->host_->completions[0].wr_id, 7u);
}

TYPED_TEST_P(VerbsConformance, AWriteIsThereWhenTheSendBehindItHasCome) {
  this->connect();
  if (this->HasFatalFailure()) return;
  this->fill(*this->target_, 100, "data");
  EXPECT_EQ(this->target_
                ->post({{.opcode = IBV_WR_RDMA_WRITE, .wr_id = 1, .offset = 100, .size = 4, .remote_address = this->host_->address(500), .remote_key = this->host_->domain->remote_key(0), .is_signalled = false},
                        {.opcode = IBV_WR_SEND, .wr_id = 2, .size = 16}})
                .error_number,
            0);
  ASSERT_TRUE(this->until_completions(*this->host_, 1));
  EXPECT_EQ(std::memcmp(this->host_->data.data() + 500, "data", 4), 0);
  ASSERT_TRUE(this->until_completions(*this->target_, 1));
  EXPECT_EQ(this->target_->completions[0].wr_id, 2u);  // the WRITE was not signalled
  EXPECT_EQ(this->target_->completions.size(), 1u);
}

TYPED_TEST_P(VerbsConformance, AReadFetches) {
  this->connect();
  if (this->HasFatalFailure()) return;
  this->fill(*this->host_, 4096, "the host's");
  EXPECT_EQ(this->target_
                ->post({{.opcode = IBV_WR_RDMA_READ, .wr_id = 3, .offset = 8192, .size = 10, .remote_address = this->host_->address(4096), .remote_key = this->host_->domain->remote_key(0)}})
                .error_number,
            0);
  ASSERT_TRUE(this->until_completions(*this->target_, 1));
  EXPECT_EQ(this->target_->completions[0].status, IBV_WC_SUCCESS);
  EXPECT_EQ(std::memcmp(this->target_->data.data() + 8192, "the host's", 10), 0);
}

TYPED_TEST_P(VerbsConformance, AWrongKeyFailsAndWhatComesAfterIsFlushed) {
  this->connect();
  if (this->HasFatalFailure()) return;
  const uint32_t wrong = this->host_->domain->remote_key(0) ^ 0x5a00;
  EXPECT_EQ(this->target_
                ->post({{.opcode = IBV_WR_RDMA_WRITE, .wr_id = 1, .size = 16, .remote_address = this->host_->address(0), .remote_key = wrong, .is_signalled = false},
                        {.opcode = IBV_WR_SEND, .wr_id = 2, .size = 16, .is_signalled = false}})
                .error_number,
            0);
  ASSERT_TRUE(this->until_completions(*this->target_, 2));
  EXPECT_EQ(this->target_->completions[0].wr_id, 1u);
  EXPECT_EQ(this->target_->completions[0].status, IBV_WC_REM_ACCESS_ERR);
  EXPECT_EQ(this->target_->completions[1].wr_id, 2u);
  EXPECT_EQ(this->target_->completions[1].status, IBV_WC_WR_FLUSH_ERR);
}

TYPED_TEST_P(VerbsConformance, BeyondTheRegionIsAWrongKeyToo) {
  this->connect();
  if (this->HasFatalFailure()) return;
  const size_t near_the_end = this->host_->kBytes - 8;
  EXPECT_EQ(this->target_
                ->post({{.opcode = IBV_WR_RDMA_READ, .wr_id = 1, .size = 16, .remote_address = this->host_->address(near_the_end), .remote_key = this->host_->domain->remote_key(0)}})
                .error_number,
            0);
  ASSERT_TRUE(this->until_completions(*this->target_, 1));
  EXPECT_EQ(this->target_->completions[0].status, IBV_WC_REM_ACCESS_ERR);
}

TYPED_TEST_P(VerbsConformance, AWindowIsReachedByItsKeyUntilThatIsInvalid) {
  this->connect();
  if (this->HasFatalFailure()) return;
  auto& host = *this->host_;
  auto& target = *this->target_;
  if (!host.has_windows) GTEST_SKIP() << "the device has no memory windows of type 2";
  this->fill(target, 0, "data");
  uint32_t key = 0;
  for (size_t round = 0; round < 2; ++round) {  // a window serves again, under another key
    const uint32_t last_key = key;
    key = host.bind(1000, 100);
    EXPECT_NE(key, last_key);
    ASSERT_TRUE(this->until_completions(host, 2 * round + 1));
    EXPECT_EQ(host.completions.back().status, IBV_WC_SUCCESS);
    std::memset(host.data.data() + 1000, 0, 100);
    target.post({{.opcode = IBV_WR_RDMA_WRITE, .wr_id = 1, .size = 4, .remote_address = host.address(1096), .remote_key = key}});
    ASSERT_TRUE(this->until_completions(target, round + 1));
    EXPECT_EQ(target.completions.back().status, IBV_WC_SUCCESS);
    EXPECT_EQ(std::memcmp(host.data.data() + 1096, "data", 4), 0);
    host.invalidate(key);
    ASSERT_TRUE(this->until_completions(host, 2 * round + 2));
    EXPECT_EQ(host.completions.back().status, IBV_WC_SUCCESS);
    host.pair->window(0).rkey = key;
  }
  target.post({{.opcode = IBV_WR_RDMA_WRITE, .wr_id = 2, .size = 4, .remote_address = host.address(1000), .remote_key = key}});
  ASSERT_TRUE(this->until_completions(target, 3));
  EXPECT_EQ(target.completions.back().status, IBV_WC_REM_ACCESS_ERR);
}

TYPED_TEST_P(VerbsConformance, ADisconnectEndsAndDrainsBothSides) {
  this->connect();
  if (this->HasFatalFailure()) return;
  this->host_->pair->disconnect();
  auto& target = *this->target_;
  auto& host = *this->host_;
  ASSERT_TRUE(this->until([&] { return host.ending && target.ending; }));
  EXPECT_EQ(*target.ending, verbs::Ending::Kind::kDisconnected);
  ASSERT_TRUE(this->until([&] { return target.is_drained; }));
  target.pair->retire();
  EXPECT_TRUE(this->until([&] { return target.is_retired; }));
}

TYPED_TEST_P(VerbsConformance, AnArmedQueueWakesOnce) {
  this->connect();
  if (this->HasFatalFailure()) return;
  auto& target = *this->target_;
  target.domain->arm();
  target.poll();
  this->host_->post({{.opcode = IBV_WR_SEND, .wr_id = 1, .size = 16}});
  ASSERT_TRUE(this->until([&] { return target.wakes == 1; }));
  this->host_->post({{.opcode = IBV_WR_SEND, .wr_id = 2, .size = 16}});
  ASSERT_TRUE(this->until_completions(target, 2));
  for (int i = 0; i < 10; ++i) this->world_->turn();
  EXPECT_EQ(target.wakes, 1);
}

TYPED_TEST_P(VerbsConformance, ReceivesThatRunLowAreTold) {
  if (!TypeParam::kHasSharedReceives) GTEST_SKIP() << "there is no shared receive queue that could run low";
  this->connect();
  if (this->HasFatalFailure()) return;
  auto& target = *this->target_;
  target.domain->set_receive_limit(target.kReceives - 1);
  for (int i = 0; i < 10; ++i) this->world_->turn();
  for (uint64_t i = 0; i < 3; ++i) this->host_->post({{.opcode = IBV_WR_SEND, .wr_id = i, .size = 16}});
  EXPECT_TRUE(this->until([&] { return target.is_low; }));
}

REGISTER_TYPED_TEST_SUITE_P(VerbsConformance, PrivateDataTravelsBothWays, ARefusalSaysWhy, ASendFillsOneReceive, AWriteIsThereWhenTheSendBehindItHasCome,
                            AReadFetches, AWrongKeyFailsAndWhatComesAfterIsFlushed, BeyondTheRegionIsAWrongKeyToo, AWindowIsReachedByItsKeyUntilThatIsInvalid,
                            ADisconnectEndsAndDrainsBothSides, AnArmedQueueWakesOnce, ReceivesThatRunLowAreTold);

}  // namespace weft::conformance
