#include "sim/workload.h"

#include "bdev/delay/delay_bdev.h"
#include "bdev/ram/ram_bdev.h"
#include "bdev/uring/uring_bdev.h"
#include "media/memory_medium.h"
#include "sim/workload_rig.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using testing_support::WorkloadRig;

constexpr uint64_t kBlocks = 4096;
constexpr VolumeTraits kRam{.block_count = kBlocks, .survives_the_process = false};
constexpr VolumeTraits kFile{.block_count = kBlocks, .has_volatile_cache = true};

weft::testing_support::HeapMemory& memory() {
  static weft::testing_support::HeapMemory memory;
  return memory;
}

std::unique_ptr<bdev::Bdev> ram() { return std::move(*bdev::make_ram(memory(), "ram", kBlocks, 512)); }

std::unique_ptr<bdev::Bdev> file(media::MemoryScript& script) {
  script.bytes.resize(kBlocks * 512);
  return std::make_unique<bdev::UringBdev<media::MemoryMedium>>(
      std::make_unique<media::MemoryMedium>(script),
      bdev::Info{.name = "file", .block_count = kBlocks, .has_volatile_cache = true, .can_deallocate = true, .deallocated_reads_zero = true},
      memory());
}

TEST(Workload, FindsNothingOnARamDisk) {
  WorkloadRig rig{ram(), kRam};
  rig.connect(1);
  rig.run(5'000);
  EXPECT_EQ(rig.found(), "");
  EXPECT_TRUE(rig.drain());
  EXPECT_EQ(rig.found(), "");
  EXPECT_GE(rig.workload->tally().commands, 5'000u);
}

TEST(Workload, FindsNothingOnAFile) {
  media::MemoryScript script;
  WorkloadRig rig{file(script), kFile};
  rig.connect(2);
  rig.run(5'000);
  EXPECT_EQ(rig.found(), "");
  rig.read_back();
  EXPECT_TRUE(rig.workload->read_back());
  EXPECT_EQ(rig.found(), "");
}

TEST(Workload, GoesOnWithTheNextAssociation) {
  media::MemoryScript script;
  WorkloadRig rig{file(script), kFile};
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    rig.connect(seed);
    rig.run(600);
    ASSERT_EQ(rig.found(), "") << "seed " << seed;
    rig.controller->io_queue(0).close(Error{Errc::kClosed, "cut"});
    rig.turn(1 + int(seed));
    rig.disconnect();
  }
}

TEST(Workload, SameSeedSameRun) {
  uint64_t hashes[2];
  for (uint64_t& hash : hashes) {
    WorkloadRig rig{ram(), kRam};
    rig.connect(3);
    rig.run(3000);
    hash = rig.trace.hash();
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

TEST(Workload, ReportsATargetThatBreaksARuleUnlessBytesAreCorrupted) {
  for (const bool is_corrupted : {false, true}) {
    WorkloadRig rig{ram(), kRam};
    rig.connect(5);
    rig.run(100);
    if (is_corrupted) rig.workload->expect_corruption();
    rig.controller->io_queue(0).close(Error{Errc::kInvalid, "CapsuleResp: no command with CID 0001h is outstanding"});
    rig.turn(2000);
    EXPECT_TRUE(rig.workload->is_lost());
    EXPECT_EQ(rig.found().starts_with("completion: "), !is_corrupted) << rig.found();
  }
}

TEST(Workload, ClosesTheAssociationWhenACommandGetsNoAnswer) {
  WorkloadRig rig{bdev::make_delay(ram(), {.op = bdev::OpClass::kWrite, .delay = milliseconds(200)}), kRam};
  rig.connect(6, {.command_timeout = milliseconds(100)});
  rig.run(100'000);
  EXPECT_TRUE(rig.workload->is_lost());
  rig.turn(2000);
  ASSERT_NE(rig.controller->failure(), nullptr);
  EXPECT_EQ(rig.controller->failure()->code, Errc::kTimedOut);
  EXPECT_EQ(rig.found(), "");
}

TEST(Workload, SaysWhenEveryNamespaceWasReadWrittenAndFlushed) {
  WorkloadRig rig{ram(), kRam};
  const Instant start = rig.reactor.now();
  rig.connect(4);
  EXPECT_FALSE(rig.workload->has_progressed_since(start));
  rig.run(1000);
  EXPECT_TRUE(rig.workload->has_progressed_since(start));
  EXPECT_FALSE(rig.workload->has_progressed_since(rig.reactor.now() + seconds(1)));
}

}  // namespace
}  // namespace weft::sim
