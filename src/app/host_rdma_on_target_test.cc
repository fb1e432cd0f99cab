// The host over RDMA against the real target, both on verbs in memory, in one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/discovery.h"
#include "host/rdma_transport.h"
#include "host/workload.h"
#include "transport/rdma/test_support.h"

namespace weft::app {
namespace {

using ::testing::HasSubstr;
using rdma::testing::TestServer;
using Transport = host::RdmaTransport<verbs::MemoryVerbs>;

constexpr uint16_t kDepth = 8;
constexpr uint32_t kEntries = 128;

class HostRdmaOnTarget : public ::testing::Test {
 protected:
  HostRdmaOnTarget() {
    server_.fabric.device.has_windows = true;
    make_transport({.entries = kEntries, .data_bytes = 32 << 20});
  }
  ~HostRdmaOnTarget() override { drop_transport(); }

  void make_transport(const host::RdmaOptions& options) { transport_.emplace(server_.target.reactor, server_.host_verbs, server_.target.memory, options); }
  void drop_transport() {
    if (!transport_) return;
    transport_->close();
    for (int i = 0; i < 200 && !transport_->is_closed(); ++i) server_.target.advance(milliseconds(50));
    EXPECT_TRUE(transport_->is_closed());
    transport_.reset();
  }
  host::ConnectOptions connect_options(uint16_t io_queues = 2) const {
    host::ConnectOptions options;
    options.endpoint = {.host = "127.0.0.1", .port = 4420};
    options.subnqn = tcp::testing::kSubsystemNqn;
    options.host.nqn = tcp::testing::kHostNqn;
    options.host.id.bytes.fill(7);
    options.io_queues = io_queues;
    options.queue_entries = 32;
    options.keep_alive = Duration{};
    return options;
  }
  /// Turns the reactor, time passing, until the task has ended.
  template <typename T>
  T run(Task<T> task) {
    bool is_done = false;
    task.start([&] { is_done = true; });
    for (int i = 0; i < 20000 && !is_done; ++i) server_.target.advance(milliseconds(1));
    WEFT_ASSERT(is_done);
    return task.take();
  }
  Task<Result<host::WorkloadReport>> perf(host::WorkloadOptions options, host::ConnectOptions connect) {
    host::Controller controller{server_.target.reactor, *transport_, connect};
    if (auto done = co_await controller.connect(); !done) co_return std::unexpected(done.error());
    const auto workload = host::Workload::create(server_.target.reactor, controller, {.nsid = 1, .lba_bytes = 512, .lbas = tcp::testing::kBlocks}, options);
    if (!workload) co_return std::unexpected(workload.error());
    auto report = co_await (*workload)->run();
    if (controller.failure() == nullptr) {
      if (auto ended = co_await controller.shutdown(); !ended) co_return std::unexpected(ended.error());
    }
    co_return std::move(report);
  }
  static host::WorkloadOptions verified(uint32_t io_bytes, uint16_t depth, uint64_t count) {
    return {.pattern = host::Pattern::kRandRw, .read_percent = 50, .io_bytes = io_bytes, .queue_depth = depth, .time = {}, .io_count = count, .verify = host::Verify::kYes, .seed = 3};
  }
  void expect_clean(const Result<host::WorkloadReport>& report) {
    ASSERT_TRUE(report) << report.error().what();
    EXPECT_EQ(report->io_errors, 0u) << report->first_error;
    EXPECT_EQ(report->verify_errors, 0u) << report->first_error;
    EXPECT_GT(report->blocks_verified, 0u);
  }

  TestServer server_;
  std::optional<Transport> transport_;
};

TEST_F(HostRdmaOnTarget, VerifiedIoIsCleanInEverySizeAndEveryFormOfDescriptor) {
  struct Row {
    const char* name;
    uint32_t io_bytes;
    uint16_t depth;
    uint64_t count;
    size_t data_bytes;
    uint16_t descriptors;
    bool has_reads;  // of the target: writes that do not travel in the capsule
    bool has_windows = false;
  };
  const Row rows[] = {
      {"512 B in the capsule", 512, kDepth, 400, 32 << 20, 1, false},
      {"4 KiB in the capsule", 4096, kDepth, 400, 32 << 20, 1, false},
      {"8 KiB by key", 8192, kDepth, 200, 32 << 20, 1, true},
      {"64 KiB by key", 64 << 10, 4, 60, 32 << 20, 1, true},
      {"1 MiB by key", 1 << 20, 1, 12, 32 << 20, 1, true},
      {"4 KiB by copy", 4096, kDepth, 200, 0, 1, false},
      {"16 KiB by copy", 16 << 10, 4, 60, 0, 1, true},
      {"8 KiB in three descriptors", 8192, kDepth, 100, 32 << 20, 3, true},
      {"64 KiB in sixteen descriptors", 64 << 10, 4, 60, 32 << 20, 16, true},
      {"4 KiB with windows", 4096, kDepth, 400, 32 << 20, 1, false, true},
      {"64 KiB with windows", 64 << 10, 4, 60, 32 << 20, 1, true, true},
      {"256 KiB with windows, by copy", 256 << 10, 1, 24, 0, 1, true, true},
      {"16 KiB with windows in three descriptors", 16 << 10, 4, 60, 32 << 20, 3, true, true},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    drop_transport();
    make_transport({.entries = kEntries, .data_bytes = row.data_bytes, .descriptors = row.descriptors, .has_windows = row.has_windows});
    server_.target_verbs.counts = {};
    expect_clean(run(perf(verified(row.io_bytes, row.depth, row.count), connect_options())));
    constexpr uint64_t kConnectReads = 3;  // the data of Connect, by a key on each queue
    EXPECT_EQ(server_.target_verbs.counts.reads > kConnectReads, row.has_reads);
  }
}

TEST_F(HostRdmaOnTarget, KeysAreInvalidatedByTheTargetWhereItsDeviceCanAndElseByTheHost) {
  for (const bool can_invalidate : {true, false}) {
    drop_transport();
    server_.fabric.device.can_invalidate_remotely = can_invalidate;
    make_transport({.entries = kEntries, .data_bytes = 32 << 20, .has_windows = true});
    server_.target_verbs.counts = server_.host_verbs.counts = {};
    expect_clean(run(perf(verified(16 << 10, 4, 60), connect_options())));
    const uint64_t binds = server_.host_verbs.counts.binds;
    EXPECT_GT(binds, 60u);
    EXPECT_EQ(server_.target_verbs.counts.invalidations, can_invalidate ? binds : 0);
    EXPECT_EQ(server_.host_verbs.counts.local_invalidations, can_invalidate ? 0 : binds);
  }
}

TEST_F(HostRdmaOnTarget, DiscoveryReadsTheLog) {
  auto options = connect_options(0);
  options.subnqn = fabrics::kDiscoveryNqn;
  const auto discover = [&]() -> Task<Result<host::DiscoveryLog>> {
    host::Controller controller{server_.target.reactor, *transport_, options};
    if (auto done = co_await controller.connect(); !done) co_return std::unexpected(done.error());
    auto log = co_await host::read_discovery_log(controller);
    if (auto ended = co_await controller.shutdown(); !ended) co_return std::unexpected(ended.error());
    co_return std::move(log);
  };
  const auto log = run(discover());
  ASSERT_TRUE(log) << log.error().what();
}

TEST_F(HostRdmaOnTarget, ATargetThatDisconnectsAtAnyMomentEndsTheRunAndNothingHangs) {
  int refused = 0;
  int broken = 0;  // runs that had begun
  for (int cycles = 0; cycles < 120; cycles += 3) {
    SCOPED_TRACE(cycles);
    bool is_done = false;
    auto task = perf(verified(4096, kDepth, 100000), connect_options());
    task.start([&] { is_done = true; });
    for (int i = 0; i < cycles; ++i) server_.target.reactor.run_once();
    const size_t ended = server_.fabric.disconnect_all();
    if (ended == 0) server_.target.run();
    if (ended == 0) server_.fabric.disconnect_all();  // it was too early: now something is there
    for (int i = 0; i < 20000 && !is_done; ++i) server_.target.advance(milliseconds(1));
    ASSERT_TRUE(is_done);
    const auto report = task.take();
    ++(report ? broken : refused);
    EXPECT_THAT(report ? report->first_error : std::string{report.error().what()}, HasSubstr("closed"));
    server_.target.advance(seconds(2));
    EXPECT_TRUE(transport_->is_idle());
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(broken, 0);
}

TEST_F(HostRdmaOnTarget, WhatItMayNotConnectToIsSaid) {
  auto nowhere = connect_options();
  nowhere.endpoint.port = 9;
  EXPECT_THAT(run(perf(verified(4096, 1, 1), nowhere)).error().what(), HasSubstr("nobody answers"));
  auto unknown = connect_options();
  unknown.subnqn = "nqn.2026-01.test:other";
  EXPECT_THAT(run(perf(verified(4096, 1, 1), unknown)).error().what(), HasSubstr("there is no subsystem"));
  auto digests = connect_options();
  digests.digests.header = true;
  EXPECT_THAT(run(perf(verified(4096, 1, 1), digests)).error().what(), HasSubstr("no digests"));
  server_.fabric.device.answered_reads_max = 0;
  EXPECT_THAT(run(perf(verified(4096, 1, 1), connect_options())).error().what(), HasSubstr("(STS 07h)"));
}

}  // namespace
}  // namespace weft::app
