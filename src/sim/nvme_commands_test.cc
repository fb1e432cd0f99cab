// The commands that a controller may have, and what is said of its writes: Compare, Verify and Copy in parts, limits, errors; which writes stay whole.
#include "bdev/test_support.h"
#include "sim/nvme_rig.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using bdev::Op;
using bdev::testing_support::TestIo;
using nvme::IoOpcode;
using testing_support::NvmeRig;
using testing_support::NvmeRigOptions;
namespace status = nvme::status;

constexpr uint32_t kBlock = 512;

/// Small enough that every command comes in parts.
constexpr uint8_t kMdts = 1, kVsl = 1;  // 16 blocks
NvmeShape commands_in_parts() {
  NvmeShape shape;
  shape.mdts = kMdts;
  shape.vsl = kVsl;
  shape.has_compare = shape.has_verify = shape.has_copy = true;
  shape.mssrl = 8;
  shape.mcl = 20;
  shape.msrc = 1;
  return shape;
}

class NvmeCommands : public ::testing::Test {
 protected:
  NvmeRig& make(NvmeRigOptions options) {
    options.lanes = 1;
    rig_ = std::make_unique<NvmeRig>(options);
    rig_->start();
    EXPECT_EQ(rig_->found(), "");
    return *rig_;
  }
  nvme::Status run(TestIo& io) {
    rig_->process->submit(io);
    rig_->run_until([&] { return io.result.has_value(); });
    EXPECT_EQ(rig_->found(), "");
    return io.result.value_or(status::kInternalError);
  }
  nvme::Status run(Op op, uint64_t block, uint64_t count, std::span<std::byte> data = {}) {
    TestIo io{op, block, count, data};
    return run(io);
  }
  /// Blocks of mapped memory, each filled with `fill` and its number.
  std::span<std::byte> blocks(uint64_t count, char fill) {
    const auto data = rig_->process->mapped().first(count * kBlock);
    for (uint64_t i = 0; i < count; ++i) std::ranges::fill(data.subspan(i * kBlock, kBlock), std::byte(fill + char(i % 7)));
    return data;
  }
  /// What the disk has.
  std::vector<std::byte> contents(uint64_t block, uint64_t count) {
    std::vector<std::byte> bytes(count * kBlock);
    rig_->disk.blocks().read(block * kBlock, bytes, {});
    return bytes;
  }
  uint64_t commands(IoOpcode opcode) const { return rig_->device.counts().by_opcode[uint8_t(opcode)]; }
  void spoil(uint64_t block) {
    DiskOptions options = rig_->disk.options();
    options.bad_ranges = {{block * kBlock, kBlock}};
    rig_->disk.set_options(options);
  }

  std::unique_ptr<NvmeRig> rig_;
};

TEST_F(NvmeCommands, ADifferenceInAnyPartOfACompareIsFoundAndNothingIsWritten) {
  make({.shape = commands_in_parts()});
  const auto data = blocks(100, 'a');
  ASSERT_TRUE(run(Op::kWrite, 10, 100, data).ok());
  EXPECT_TRUE(run(Op::kCompare, 10, 100, data).ok());
  EXPECT_EQ(commands(IoOpcode::kCompare), 7u);
  const auto before = contents(10, 100);
  for (const size_t at : {size_t{0}, data.size() / 2, data.size() - 1}) {
    data[at] ^= std::byte{1};
    EXPECT_EQ(run(Op::kCompare, 10, 100, data), status::kCompareFailure.with_dnr()) << "byte " << at;
    data[at] ^= std::byte{1};
  }
  EXPECT_EQ(contents(10, 100), before);
}

TEST_F(NvmeCommands, ACompareOfDataThatTheDeviceDoesNotReachGoesThroughABuffer) {
  make({.shape = commands_in_parts()});
  const auto data = blocks(100, 'a');
  ASSERT_TRUE(run(Op::kWrite, 10, 100, data).ok());
  const auto far = rig_->process->unmapped().subspan(1, data.size());
  std::ranges::copy(data, far.begin());
  EXPECT_TRUE(run(Op::kCompare, 10, 100, far).ok());
  far.back() ^= std::byte{1};
  EXPECT_EQ(run(Op::kCompare, 10, 100, far), status::kCompareFailure.with_dnr());
}

TEST_F(NvmeCommands, ABlockThatCannotBeReadFailsEveryCommandThatReadsIt) {
  make({.shape = commands_in_parts()});
  ASSERT_TRUE(run(Op::kWrite, 0, 100, blocks(100, 'a')).ok());
  for (const uint64_t bad : {0, 50, 99}) {
    spoil(bad);
    EXPECT_EQ(run(Op::kVerify, 0, 100), status::kUnrecoveredReadError.with_dnr()) << "block " << bad;
    EXPECT_EQ(run(Op::kCompare, 0, 100, blocks(100, 'a')), status::kUnrecoveredReadError.with_dnr()) << "block " << bad;
    TestIo copy{Op::kCopy, 1000, 100, {}};
    EXPECT_EQ(run(copy), status::kUnrecoveredReadError.with_dnr()) << "block " << bad;
  }
  spoil(200);
  EXPECT_TRUE(run(Op::kVerify, 0, 100).ok());
  EXPECT_EQ(commands(IoOpcode::kVerify) % 7, 0u);
}

TEST_F(NvmeCommands, ACopyIsSplitAtTheLimitsOfItsNamespace) {
  make({.shape = commands_in_parts()});
  const auto data = blocks(100, 'a');
  ASSERT_TRUE(run(Op::kWrite, 10, 100, data).ok());
  TestIo copy{Op::kCopy, 500, 100, {}};
  copy.source = 10;
  EXPECT_TRUE(run(copy).ok());
  EXPECT_EQ(commands(IoOpcode::kCopy), 7u);  // 2 ranges of 8 blocks each
  EXPECT_EQ(contents(500, 100), contents(10, 100));
  EXPECT_EQ(contents(499, 1), std::vector<std::byte>(kBlock));
  EXPECT_EQ(contents(600, 1), std::vector<std::byte>(kBlock));
}

TEST_F(NvmeCommands, AStableCopySurvivesAPowerCut) {
  NvmeRig& rig = make({.shape = commands_in_parts()});
  ASSERT_TRUE(run(Op::kWrite, 0, 64, blocks(64, 'a')).ok());
  const auto written = contents(0, 64);
  TestIo copy{Op::kCopy, 512, 64, {}};
  copy.durability = bdev::Durability::kStable;
  EXPECT_TRUE(run(copy).ok());
  rig.power_cut();
  EXPECT_EQ(contents(512, 64), written);
}

TEST_F(NvmeCommands, ADeviceTakesWhatItsControllerAndItsNamespaceSay) {
  for (const bool has : {false, true}) {
    NvmeShape shape = commands_in_parts();
    shape.has_compare = shape.has_verify = shape.has_copy = has;
    NvmeRig& rig = make({.shape = shape});
    for (const Op op : {Op::kCompare, Op::kVerify, Op::kCopy}) EXPECT_EQ(rig.process->takes(op), has) << int(op);
    EXPECT_TRUE(rig.process->takes(Op::kDeallocate));
  }
  NvmeShape shape = commands_in_parts();
  shape.mcl = 0;
  EXPECT_FALSE(make({.shape = shape}).process->takes(Op::kCopy));
}

// --- atomicity ---------------------------------------------------------------------------------------------------------

TEST_F(NvmeCommands, WhatIsSaidOfWritesIsTheDevicesWordUpToWhatOneCommandCarries) {
  struct {
    NvmeRigOptions options;
    bdev::Atomicity said;
  } const rows[] = {
      {{}, {}},
      {{.atomic_bytes = 16 << 10}, {.blocks = 32, .power_fail_blocks = 32}},
      {{.shape = {.atomics = NvmeShape::Atomics::kOfController}, .atomic_bytes = 16 << 10}, {.blocks = 32, .power_fail_blocks = 32}},
      {{.shape = {.mdts = 1}, .atomic_bytes = 16 << 10}, {.blocks = 16, .power_fail_blocks = 16}},
      {{.shape = {.mdts = 0}, .atomic_bytes = 1 << 20}, {.blocks = 256, .power_fail_blocks = 256}},
      {{.atomic_bytes = 16 << 10, .atomic_boundary_bytes = 32 << 10},
       {.blocks = 32, .power_fail_blocks = 32, .boundary_blocks = 64, .power_fail_boundary_blocks = 64}},
  };
  for (const auto& row : rows) {
    const bdev::Atomicity& said = make(row.options).process->info().atomicity;
    EXPECT_EQ(said, row.said) << said.blocks << " blocks, " << said.boundary_blocks << " between boundaries";
  }
}

TEST_F(NvmeCommands, AWriteOfWhatIsSaidIsOneCommandWhereverItsDataLies) {
  for (const uint8_t mdts : {0, 1, 5}) {
    NvmeRig& rig = make({.shape = {.mdts = mdts, .has_write_zeroes = mdts != 5}, .atomic_bytes = 1 << 20});
    const uint64_t most = rig.process->info().atomicity.blocks;
    for (const uint64_t count : {uint64_t{1}, most / 2, most - 1, most}) {
      for (const auto memory : {rig.process->mapped(), rig.process->mapped().subspan(4), rig.process->mapped().subspan(1), rig.process->unmapped()}) {
        const uint64_t before = rig.device.counts().commands;
        ASSERT_TRUE(run(Op::kWrite, 3, count, memory.first(count * kBlock)).ok());
        EXPECT_EQ(rig.device.counts().commands - before, 1u) << count << " blocks";
      }
      const uint64_t before = rig.device.counts().commands;
      ASSERT_TRUE(run(Op::kWriteZeroes, 3, count).ok());
      EXPECT_EQ(rig.device.counts().commands - before, 1u) << count << " blocks of zeroes";
    }
  }
}

/// How often a write of `count` blocks from `block` on, which a power cut meets, is there in part, over many power cuts.
struct Cuts {
  int torn = 0;
  int there = 0;
  int absent = 0;
};

class NvmeTearing : public NvmeCommands {
 protected:
  Cuts cut(const NvmeRigOptions& options, uint64_t block, uint64_t count) {
    Cuts cuts;
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      NvmeRigOptions with_seed = options;
      with_seed.seed = seed;
      NvmeRig& rig = make(with_seed);
      EXPECT_TRUE(run(Op::kFlush, 0, 0).ok());  // by then it has its queue
      TestIo write{Op::kWrite, block, count, blocks(count, 'a')};
      const std::vector<std::byte> written(write.data.begin(), write.data.end());
      rig.process->submit(write);
      rig.let_pass(microseconds(int64_t(20 + seed * 5)));
      rig.power_cut();
      const auto left = contents(block, count);
      if (left == written) {
        ++cuts.there;
      } else if (std::ranges::all_of(left, [](std::byte byte) { return byte == std::byte{0}; })) {
        ++cuts.absent;
      } else {
        ++cuts.torn;
      }
    }
    return cuts;
  }
  static NvmeRigOptions options() { return {.atomic_bytes = 32 << 10, .atomic_boundary_bytes = 64 << 10}; }
};

TEST_F(NvmeTearing, APowerCutKeepsAWriteOfWhatIsSaidAsAWholeOrNotAtAll) {
  const Cuts cuts = cut(options(), 3, 64);
  EXPECT_EQ(cuts.torn, 0);
  EXPECT_GT(cuts.there, 0);
  EXPECT_GT(cuts.absent, 0);
}

TEST_F(NvmeTearing, APowerCutMayTearWhatIsLargerOrCrossesABoundary) {
  EXPECT_GT(cut(options(), 3, 65).torn, 0);
  EXPECT_GT(cut(options(), 100, 64).torn, 0);
}

}  // namespace
}  // namespace weft::sim
