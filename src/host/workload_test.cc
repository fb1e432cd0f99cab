#include "host/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/chunk_ledger.h"
#include "host/fake_target.h"
#include "host/stamp.h"

namespace weft::host {
namespace {

using testing_support::FakeTarget;
using ::testing::HasSubstr;
using Hook = FakeTarget::Hook;

class WorkloadTest : public ::testing::Test {
 protected:
  WorkloadTest() {
    const auto connected = FakeTarget::run(reactor, clock, controller.connect());
    EXPECT_TRUE(connected && *connected);
  }
  Extent extent() const { return {.nsid = 1, .lba_bytes = FakeTarget::kLbaBytes, .lbas = target.disk.size() / FakeTarget::kLbaBytes}; }
  WorkloadOptions options(Pattern pattern, uint64_t count) const {
    return {.pattern = pattern, .io_bytes = 4096, .queue_depth = 8, .time = Duration{}, .io_count = count, .verify = Verify::kYes};
  }
  WorkloadReport run(const WorkloadOptions& options) {
    auto workload = Workload::create(reactor, controller, extent(), options);
    EXPECT_TRUE(workload) << workload.error().what();
    auto report = FakeTarget::run(reactor, clock, (*workload)->run());
    EXPECT_TRUE(report.has_value()) << "the run did not end";
    return report.value_or(WorkloadReport{});
  }

  weft::testing_support::ManualClock clock;
  weft::testing_support::NullSink sink;
  Reactor reactor{{}, clock, sink};
  FakeTarget target{reactor};
  Controller controller{reactor, target, {.endpoint = {}, .subnqn = "nqn.x", .host = {}, .digests = {}, .io_queues = 2, .keep_alive = Duration{}}};
};

TEST_F(WorkloadTest, RunsExactlyAsManyAsAskedForAndVerifiesThem) {
  const auto report = run(options(Pattern::kRandRw, 5000));
  EXPECT_EQ(report.reads.ios + report.writes.ios, 5000u);
  EXPECT_EQ(report.reads.bytes, report.reads.ios * 4096);
  EXPECT_EQ(report.reads.latency_ns.count(), report.reads.ios);
  EXPECT_NEAR(double(report.reads.ios) / 5000, 0.7, 0.05);
  EXPECT_GT(report.blocks_verified, 10000u);
  EXPECT_EQ(report.io_errors, 0u);
  EXPECT_EQ(report.verify_errors, 0u) << report.first_error;
}

TEST_F(WorkloadTest, EndsWhenTheTimeIsOver) {
  WorkloadOptions timed = options(Pattern::kRandRead, 0);
  timed.time = milliseconds(50);
  const auto report = run(timed);
  EXPECT_GE(report.elapsed, milliseconds(50));
  EXPECT_LE(report.elapsed, milliseconds(55));
  EXPECT_GT(report.reads.ios, 500u);
}

TEST_F(WorkloadTest, SequentialWritesCoverTheRangeOnce) {
  run(options(Pattern::kWrite, target.disk.size() / 4096));
  for (uint64_t lba = 0; lba < extent().lbas; ++lba) {
    const auto reading = read_stamp(std::span<const std::byte>{target.disk}.subspan(lba * 512, 512));
    ASSERT_EQ(reading.check, StampCheck::kGood) << lba;
    ASSERT_EQ(reading.stamp.lba, lba);
  }
}

TEST_F(WorkloadTest, ReadsBackWhatItHasWrittenAndDoesNotMeasureThat) {
  uint64_t reads = 0;
  target.hook = [&](uint16_t, Command& command, nvme::Cqe&) { return reads += command.sqe.opcode == uint8_t(nvme::IoOpcode::kRead) && !command.in.empty(), Hook::kPass; };
  const auto report = run(options(Pattern::kWrite, 100));
  EXPECT_EQ(report.writes.ios, 100u);
  EXPECT_EQ(report.reads.ios, 0u);
  EXPECT_EQ(reads, 100u);
  EXPECT_EQ(report.blocks_verified, 800u);
  EXPECT_EQ(report.verify_errors, 0u);
}

TEST_F(WorkloadTest, FindsAWriteOnlyRunsLostWrite) {
  int writes = 0;
  target.hook = [&](uint16_t qid, Command& command, nvme::Cqe&) {
    return qid != 0 && command.sqe.opcode == uint8_t(nvme::IoOpcode::kWrite) && ++writes == 7 ? Hook::kAnswered : Hook::kPass;
  };
  const auto report = run(options(Pattern::kWrite, 100));
  EXPECT_EQ(report.verify_errors, 8u);
  EXPECT_THAT(report.first_error, HasSubstr("is lost"));
}

TEST_F(WorkloadTest, RecognisesAnEarlierRunsBlocks) {
  run(options(Pattern::kWrite, target.disk.size() / 4096));
  WorkloadOptions second = options(Pattern::kRead, target.disk.size() / 4096);
  second.seed = 2;
  auto report = run(second);
  EXPECT_EQ(report.blocks_verified, extent().lbas);
  EXPECT_EQ(report.verify_errors, 0u);
  target.disk[512 * 77 + 200] ^= std::byte{1};
  report = run(second);
  EXPECT_EQ(report.verify_errors, 1u);
  EXPECT_EQ(report.first_error, "LBA 77: the block is corrupt, its CRC does not match");
}

// What a wrong target may do to a block. Each must be found.
struct Wrong {
  const char* name;
  void (*damage)(std::vector<std::byte>& disk, uint64_t offset, const Command& command);
  const char* error;
};
const Wrong kWrongs[] = {
    {"a bit flips", [](auto& disk, auto offset, auto&) { disk[offset + 300] ^= std::byte{4}; }, "corrupt"},
    {"a write is lost", [](auto& disk, auto offset, auto& command) { std::memset(disk.data() + offset, 0, command.out.size()); }, "no stamp"},
    {"a block is torn", [](auto& disk, auto offset, auto&) { std::memset(disk.data() + offset + 256, 0, 256); }, "corrupt"},
    {"a block lands one further", [](auto& disk, auto offset, auto&) { std::memmove(disk.data() + offset, disk.data() + offset + 512, 512); }, "belongs to LBA"},
    {"an older write comes back",
     [](auto& disk, auto offset, auto&) {
       auto block = std::span{disk}.subspan(offset, 512);
       Stamp stamp = read_stamp(block).stamp;
       --stamp.sequence;
       write_stamp(block, stamp);
     },
     "is there where write"},
    {"another run's block is there",
     [](auto& disk, auto offset, auto&) {
       auto block = std::span{disk}.subspan(offset, 512);
       Stamp stamp = read_stamp(block).stamp;
       ++stamp.run;
       write_stamp(block, stamp);
     },
     "another run's block"},
};

TEST_F(WorkloadTest, FindsEveryPlantedWrongBlock) {
  for (const Wrong& wrong : kWrongs) {
    SCOPED_TRACE(wrong.name);
    std::ranges::fill(target.disk, std::byte{0});
    int writes = 0;
    uint64_t damaged = 0;
    target.hook = [&](uint16_t qid, Command& command, nvme::Cqe&) {
      if (qid == 0 || command.sqe.opcode != uint8_t(nvme::IoOpcode::kWrite)) return Hook::kPass;
      const uint64_t offset = command.sqe.slba() * 512;
      std::memcpy(target.disk.data() + offset, command.out.data(), command.out.size());
      if (++writes == 10) {
        damaged = offset;
        wrong.damage(target.disk, offset, command);
      }
      // A later write of the damaged chunk would heal it before it is read: that one and all after it are not made.
      if (writes > 10 && offset == damaged) wrong.damage(target.disk, offset, command);
      return Hook::kAnswered;
    };
    const auto report = run(options(Pattern::kRandRw, 5000));
    target.hook = nullptr;
    EXPECT_GT(report.verify_errors, 0u);
    EXPECT_EQ(report.io_errors, 0u);
    EXPECT_THAT(report.first_error, HasSubstr(wrong.error));
  }
}

TEST_F(WorkloadTest, CountsFailedCommandsAndForgetsWhatAFailedWriteLeft) {
  int writes = 0;
  target.hook = [&](uint16_t qid, Command& command, nvme::Cqe& cqe) {
    if (qid == 0 || command.sqe.opcode != uint8_t(nvme::IoOpcode::kWrite) || ++writes % 100 != 0) return Hook::kPass;
    cqe.status = nvme::status::kWriteFault.to_cqe();
    return Hook::kAnswered;
  };
  const auto report = run(options(Pattern::kRandRw, 5000));
  EXPECT_EQ(report.io_errors, uint64_t(writes / 100));
  EXPECT_EQ(report.verify_errors, 0u) << report.first_error;
  EXPECT_THAT(report.first_error, HasSubstr("2/80h Write Fault"));
}

TEST_F(WorkloadTest, EndsWithErrorsWhenTheConnectionIsLost) {
  uint64_t commands = 0;
  target.hook = [&](uint16_t qid, Command&, nvme::Cqe&) {
    if (qid == 1 && ++commands == 50) target.cut(1, "cable pulled");
    return Hook::kPass;
  };
  const auto report = run(options(Pattern::kRandRead, 100000));
  EXPECT_GT(report.io_errors, 0u);
  EXPECT_EQ(report.first_error, "cable pulled");
  EXPECT_LT(report.reads.ios, 100000u);
}

TEST_F(WorkloadTest, AnIoWithoutAnswerEndsTheRun) {
  target.hook = [&](uint16_t qid, Command&, nvme::Cqe&) { return qid == 2 ? Hook::kSwallow : Hook::kPass; };
  const auto report = run(options(Pattern::kRandRead, 100000));
  EXPECT_GT(report.io_errors, 0u);
  EXPECT_THAT(report.first_error, HasSubstr("no answer to a Read within 30000 ms"));
}

TEST_F(WorkloadTest, RefusesWhatDoesNotFit) {
  struct Row {
    const char* error;
    void (*bend)(WorkloadOptions&);
  };
  const Row rows[] = {
      {"not a multiple", [](auto& o) { o.io_bytes = 1000; }},
      {"more than one command moves", [](auto& o) { o.io_bytes = 2 << 20; }},
      {"--queue-depth 129", [](auto& o) { o.queue_depth = 129; }},
      {"beyond the end", [](auto& o) { o.size_bytes = 2 << 20; }},
      {"beyond the end", [](auto& o) { o.offset_bytes = 3 << 20; }},
      {"too small", [](auto& o) { o.size_bytes = 8192 * 7; }},
      {"neither", [](auto& o) { o.io_count = 0; }},
  };
  for (const Row& row : rows) {
    WorkloadOptions bent = options(Pattern::kRandRead, 1);
    row.bend(bent);
    const auto workload = Workload::create(reactor, controller, extent(), bent);
    ASSERT_FALSE(workload) << row.error;
    EXPECT_THAT(workload.error().what(), HasSubstr(row.error));
  }
}

TEST(ChunkLedger, GivesNoChunkTwiceAtOnce) {
  ChunkLedger ledger{3};
  EXPECT_EQ(ledger.acquire(2), 2u);
  EXPECT_EQ(ledger.acquire(2), 0u);
  EXPECT_EQ(ledger.acquire(2), 1u);
  ledger.release_written(0, 9);
  EXPECT_EQ(ledger.sequence(0), 9u);
  EXPECT_EQ(ledger.acquire(1), 0u);
  ledger.release(0);
  EXPECT_EQ(ledger.sequence(0), 9u);
}

}  // namespace
}  // namespace weft::host
