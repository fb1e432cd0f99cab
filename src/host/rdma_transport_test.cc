// The host's transport over verbs in memory against a target that does what the test says.
#include "host/rdma_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "core/test_support.h"
#include "host/rdma_test_support.h"
#include "host/test_support.h"

namespace weft::host {
namespace {

using testing_support::KeptCommand;
using testing_support::ScriptedRdmaTarget;
using ::testing::HasSubstr;
using Answer = ScriptedRdmaTarget::Answer;

constexpr size_t kDataBytes = 64 << 10;

class RdmaTransportTest : public ::testing::Test, public QueueEvents {
 protected:
  RdmaTransportTest() {
    fabric_.device.has_windows = true;
    for (Poller* each : {static_cast<Poller*>(&host_verbs_), static_cast<Poller*>(&target_.verbs)}) reactor_.add(*each);
    make({.entries = 16, .data_bytes = kDataBytes});
  }
  ~RdmaTransportTest() override {
    queue_.reset();
    drop();
    for (Poller* each : {static_cast<Poller*>(&host_verbs_), static_cast<Poller*>(&target_.verbs)}) reactor_.remove(*each);
  }
  void make(const RdmaOptions& options) {
    drop();
    transport_.emplace(reactor_, host_verbs_, memory_, options);
  }
  void drop() {
    if (!transport_) return;
    transport_->close();
    for (int i = 0; i < 100 && !transport_->is_closed(); ++i) advance(milliseconds(50));
    EXPECT_TRUE(transport_->is_closed());
    transport_.reset();
  }
  void run() {
    for (int i = 0; i < 20; ++i) reactor_.run_once();
  }
  void advance(Duration duration) {
    clock_.advance(duration);
    run();
  }
  /// Whether the queue is open; else reason_ says why not.
  bool open(uint16_t port = 4420, uint16_t entries = 4, const std::string& from = {}) {
    closed_ = 0;
    is_open_ = false;
    auto opened = transport_->open({.host = "127.0.0.1", .port = port, .from = from}, {.kind = QueueKind::kIo, .qid = 1, .cntlid = 5, .entries = entries, .in_capsule_bytes = 4096}, *this);
    if (!opened) {
      reason_ = opened.error().what();
      return false;
    }
    queue_ = std::move(*opened);
    run();
    return is_open_;
  }
  /// Submits a command whose data the target names by a key, and returns its capsule's SQE.
  nvme::Sqe submit(KeptCommand& command) {
    queue_->submit(command);
    run();
    const auto capsule = target_.take_capsule();
    WEFT_ASSERT(capsule.has_value());
    return ScriptedRdmaTarget::sqe_of(*capsule);
  }
  KeptCommand& reading(std::span<std::byte> data) {
    KeptCommand& command = kept_.emplace_back();
    command.in = data;
    return command;
  }
  void on_open() override { is_open_ = true; }
  void on_closed(const Error& reason) override {
    ++closed_;
    reason_ = reason.what();
  }

  weft::testing_support::ManualClock clock_;
  weft::testing_support::NullSink sink_;
  Reactor reactor_{{}, clock_, sink_};
  weft::testing_support::HeapMemory memory_;
  verbs::MemoryFabric fabric_;
  verbs::MemoryVerbs host_verbs_{fabric_};
  ScriptedRdmaTarget target_{fabric_};
  std::optional<RdmaTransport<verbs::MemoryVerbs>> transport_;
  std::unique_ptr<Queue> queue_;
  std::deque<KeptCommand> kept_;  // until the connection has ended
  bool is_open_ = false;
  int closed_ = 0;
  std::string reason_;
};

TEST_F(RdmaTransportTest, DataLandsWhereItIsWanted) {
  ASSERT_TRUE(open());
  const auto data = transport_->take_memory(8192);
  KeptCommand& read = reading(data);
  const nvme::Sqe sqe = submit(read);
  const std::vector<std::byte> sent(8192, std::byte{0x42});
  target_.write(rdma::segment_of(sqe.sgl), sent);
  target_.respond(sqe.cid);
  run();
  EXPECT_EQ(read.completions, 1);
  EXPECT_TRUE(std::ranges::equal(data, sent));
}

TEST_F(RdmaTransportTest, EveryReasonOfARefusalIsSaid) {
  target_.answer = Answer::kReject;
  for (uint16_t status = 1; status <= 9; ++status) {
    const rdma::RejectData data = rdma::encode(rdma::RejectStatus(status));
    target_.refusal.assign(bytes_of(data).begin(), bytes_of(data).end());
    EXPECT_FALSE(open());
    EXPECT_EQ(reason_, fmt::format("the target refuses the connection: {} (STS {:02x}h)", rdma::name_of(rdma::RejectStatus(status)), status));
    EXPECT_EQ(closed_, 1);
  }
  target_.refusal.clear();
  EXPECT_FALSE(open());
  EXPECT_THAT(reason_, HasSubstr("it gives no reason"));
}

TEST_F(RdmaTransportTest, ComesFromTheAddressThatWasAskedFor) {
  ASSERT_TRUE(open(4420, 4, "127.0.0.77"));
  EXPECT_EQ(target_.host_address, "127.0.0.77");
}

TEST_F(RdmaTransportTest, WhereNobodyListensThatIsSaid) {
  EXPECT_FALSE(open(9));
  EXPECT_THAT(reason_, HasSubstr("nobody answers"));
}

TEST_F(RdmaTransportTest, WhatTheTargetDoesWrongEndsTheConnectionAndItsCommands) {
  struct Row {
    const char* expected;
    void (*bend)(ScriptedRdmaTarget&, const nvme::Sqe&);
  };
  const Row rows[] = {
      {"not outstanding", [](auto& target, const auto& sqe) { target.respond(uint16_t(sqe.cid + 1)); }},
      {"15 bytes where 16 are due", [](auto& target, const auto&) { target.send(std::array<std::byte, 15>{}); }},
      {"17 bytes where 16 are due", [](auto& target, const auto&) { target.send(std::array<std::byte, 17>{}); }},
      {"could not be received", [](auto& target, const auto&) { target.send(std::array<std::byte, 100>{}); }},
      {"which the command has not asked for", [](auto& target, const auto& sqe) { target.respond(sqe.cid, rdma::segment_of(sqe.sgl).key); }},
      {"the target closed the connection", [](auto& target, const auto&) { target.disconnect(); }},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.expected);
    queue_.reset();
    make({.entries = 16, .data_bytes = kDataBytes});
    ASSERT_TRUE(open());
    KeptCommand& read = reading(transport_->take_memory(8192));
    row.bend(target_, submit(read));
    run();
    EXPECT_EQ(closed_, 1);
    EXPECT_THAT(reason_, HasSubstr(row.expected));
    EXPECT_EQ(read.completions, 1);
    EXPECT_EQ(read.cqe.decoded_status(), nvme::status::kAbortedByHost);
    EXPECT_FALSE(queue_->has_room());
  }
}

TEST_F(RdmaTransportTest, AConnectionThatIsNeverAnsweredCanBeClosed) {
  target_.answer = Answer::kNone;
  EXPECT_FALSE(open());
  EXPECT_EQ(closed_, 0);
  queue_->close(Error{Errc::kTimedOut, "not in time"});
  run();
  EXPECT_EQ(reason_, "not in time");
  EXPECT_EQ(closed_, 1);
}

TEST_F(RdmaTransportTest, ADeviceThatGoesTakesEverythingAlong) {
  ASSERT_TRUE(open());
  KeptCommand& read = reading(transport_->take_memory(8192));
  submit(read);
  fabric_.remove_device();
  run();
  EXPECT_EQ(closed_, 1);
  EXPECT_THAT(reason_, HasSubstr("the RDMA device is gone"));
  EXPECT_EQ(read.completions, 1);
  queue_.reset();
  EXPECT_FALSE(open());
  EXPECT_THAT(reason_, HasSubstr("the RDMA device is gone"));
}

TEST_F(RdmaTransportTest, WhatTheDeviceLacksIsSaid) {
  host_verbs_.open_error = Error{Errc::kLimit, "locked memory"};
  EXPECT_FALSE(open());
  EXPECT_THAT(reason_, HasSubstr("locked memory"));
  struct Row {
    const char* expected;
    void (*bend)(verbs::Device&);
  };
  const Row rows[] = {
      {"no memory windows of type 2", [](auto& device) { device.has_windows = false; }},
      {"memory0 has 15 shared receives, and 16 are needed", [](auto& device) { device.receive_entries_max = 15; }},
      {"memory0 has 63 completion entries, and 64 are needed", [](auto& device) { device.completion_entries_max = 63; }},
  };
  const verbs::Device whole = fabric_.device;
  for (const Row& row : rows) {
    queue_.reset();
    make({.entries = 16, .has_windows = true});
    fabric_.device = whole;
    row.bend(fabric_.device);
    EXPECT_FALSE(open());
    EXPECT_THAT(reason_, HasSubstr(row.expected));
  }
}

TEST_F(RdmaTransportTest, MoreQueuesThanThereIsMemoryForAreRefused) {
  EXPECT_FALSE(open(4420, 17));
  EXPECT_THAT(reason_, HasSubstr("more queues"));
  EXPECT_TRUE(open(4420, 16));
}

TEST_F(RdmaTransportTest, ADeviceThatNeverDrainsIsGivenUpInTime) {
  ASSERT_TRUE(open());
  fabric_.is_drain_silent = true;
  queue_.reset();
  run();
  advance(milliseconds(900));
  EXPECT_FALSE(transport_->is_idle());
  advance(milliseconds(200));
  EXPECT_TRUE(transport_->is_idle());
}

TEST_F(RdmaTransportTest, MemoryThatTheTargetMayStillReachIsNotGivenAnew) {
  ASSERT_TRUE(open());
  const auto data = transport_->take_memory(kDataBytes);
  KeptCommand& read = reading(data.first(8192));
  submit(read);
  queue_.reset();  // while the target has the command
  EXPECT_EQ(read.completions, 1);
  transport_->give_back_memory(data);
  EXPECT_TRUE(transport_->take_memory(64).empty());
  advance(seconds(2));
  EXPECT_FALSE(transport_->take_memory(64).empty());
}

// --- windows ------------------------------------------------------------------------------------------------------------------------------------

class RdmaWindows : public RdmaTransportTest {
 protected:
  RdmaWindows() { make({.entries = 16, .data_bytes = kDataBytes, .has_windows = true}); }
};

TEST_F(RdmaWindows, TheTargetInvalidatesTheKeyOrTheHostDoes) {
  ASSERT_TRUE(open());
  KeptCommand& by_target = reading(transport_->take_memory(4096));
  nvme::Sqe sqe = submit(by_target);
  EXPECT_EQ(sqe.sgl.type, nvme::SglDescriptor::kKeyedDataBlockInvalidate);
  const rdma::Segment segment = rdma::segment_of(sqe.sgl);
  target_.respond(sqe.cid, segment.key);
  run();
  EXPECT_EQ(by_target.completions, 1);
  EXPECT_EQ(host_verbs_.counts.local_invalidations, 0u);

  KeptCommand& by_host = reading(by_target.in);
  sqe = submit(by_host);
  EXPECT_NE(rdma::segment_of(sqe.sgl).key, segment.key);
  target_.respond(sqe.cid);
  run();
  EXPECT_EQ(by_host.completions, 1);
  EXPECT_EQ(host_verbs_.counts.local_invalidations, 1u);
  EXPECT_EQ(closed_, 0);
}

TEST_F(RdmaWindows, AKeyIsOfNoUseAfterItsInvalidation) {
  for (const bool is_by_target : {true, false}) {
    queue_.reset();
    make({.entries = 16, .data_bytes = kDataBytes, .has_windows = true});
    ASSERT_TRUE(open());
    const auto data = transport_->take_memory(4096);
    KeptCommand& read = reading(data);
    const nvme::Sqe sqe = submit(read);
    const rdma::Segment segment = rdma::segment_of(sqe.sgl);
    target_.respond(sqe.cid, is_by_target ? std::optional{segment.key} : std::nullopt);
    run();
    ASSERT_EQ(read.completions, 1);
    const std::vector<std::byte> before(data.begin(), data.end());
    target_.write(segment, std::vector<std::byte>(4096, std::byte{0x66}));
    run();
    EXPECT_EQ(target_.take_failure(), IBV_WC_REM_ACCESS_ERR);
    EXPECT_TRUE(std::ranges::equal(data, before));
  }
}

TEST_F(RdmaWindows, AKeyAllowsOneDirectionAndOneCommandsBytes) {
  struct Row {
    const char* name;
    bool is_write;
    void (*reach)(ScriptedRdmaTarget&, rdma::Segment);
    ibv_wc_status status;
  };
  const Row rows[] = {
      {"a write's data is read", true, [](auto& target, auto segment) { target.read(segment); }, IBV_WC_SUCCESS},
      {"a write's data is written", true, [](auto& target, auto segment) { target.write(segment, std::array<std::byte, 16>{}); }, IBV_WC_REM_ACCESS_ERR},
      {"a read's data is read", false, [](auto& target, auto segment) { target.read(segment); }, IBV_WC_REM_ACCESS_ERR},
      {"before", false, [](auto& target, auto segment) { --segment.address, target.write(segment, std::array<std::byte, 16>{}); }, IBV_WC_REM_ACCESS_ERR},
      {"beyond", false, [](auto& target, auto segment) { segment.address += 8192 - 15, target.write(segment, std::array<std::byte, 16>{}); }, IBV_WC_REM_ACCESS_ERR},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    queue_.reset();
    make({.entries = 16, .data_bytes = kDataBytes, .has_windows = true});
    ASSERT_TRUE(open());
    const auto data = transport_->take_memory(8192 * 3).subspan(8192, 8192);
    KeptCommand& command = kept_.emplace_back();
    if (row.is_write) command.out = data;
    if (!row.is_write) command.in = data;
    row.reach(target_, rdma::segment_of(submit(command).sgl));
    run();
    EXPECT_EQ(target_.take_failure(), row.status);
  }
}

TEST_F(RdmaWindows, AnotherCommandsKeyIsNotTheTargetsToInvalidate) {
  ASSERT_TRUE(open());
  KeptCommand& first = reading(transport_->take_memory(4096));
  KeptCommand& second = reading(transport_->take_memory(4096));
  const nvme::Sqe answered = submit(first);
  const nvme::Sqe other = submit(second);
  target_.respond(answered.cid, rdma::segment_of(other.sgl).key);
  run();
  EXPECT_EQ(closed_, 1);
  EXPECT_THAT(reason_, HasSubstr("which the command has not asked for"));
}

TEST_F(RdmaWindows, TheyServeAgainOnTheNextQueue) {
  for (int queue = 0; queue < 3; ++queue) {
    ASSERT_TRUE(open());
    submit(reading(transport_->take_memory(4096)));  // bound when the queue ends
    queue_.reset();
    advance(seconds(2));
    EXPECT_TRUE(transport_->is_idle());
  }
}

}  // namespace
}  // namespace weft::host
