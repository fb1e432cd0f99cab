// The oracle and the workload together catch devices that lie, and no honest one: thousands of commands through host, wire
// and target, with power cuts between associations.
#include "base/simulation.h"
#include "sim/dishonest_bdev.h"
#include "sim/workload_rig.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using testing_support::DishonestBdev;
using testing_support::DishonestDisk;
using testing_support::Lie;
using testing_support::WorkloadRig;

constexpr uint64_t kBlocks = 512;

/// What is found when the disk lies, within some associations of some thousand commands, each ended by a power cut.
std::string finding(Lie lie, uint64_t one_in, uint64_t seed) {
  DishonestDisk disk{kBlocks};
  disk.lie = lie;
  disk.one_in = one_in;
  WorkloadRig rig{std::make_unique<DishonestBdev>(disk), {.block_count = kBlocks, .has_volatile_cache = true}};
  Prng prng{seed};
  for (int round = 0; round < 4 && !rig.referee.finding(); ++round) {
    rig.connect(prng.next());
    rig.run(600);
    rig.read_back();
    rig.disconnect();
    rig.turn(200);  // the target notices, and the disk has nothing left to do
    rig.volume.power_cut();
    disk.power_cut(prng);
  }
  return rig.referee.finding() ? rig.referee.finding()->checker : "";
}

TEST(Oracle, BelievesAnHonestDisk) {
  for (uint64_t seed = 1; seed <= 3; ++seed) EXPECT_EQ(finding(Lie::kNone, 1, seed), "") << "seed " << seed;
}

TEST(Oracle, FindsEveryLie) {
  struct Row {
    Lie lie;
    uint64_t one_in;
    const char* checkers;  // which rule is broken first depends on the command that meets the lie: pairs compare, too
  };
  const Row rows[] = {{Lie::kLoseWrite, 50, "oracle fused"},  {Lie::kSwapBlocks, 20, "oracle fused"}, {Lie::kStaleRead, 50, "oracle fused"},
                      {Lie::kTearBlock, 50, "oracle fused"},  {Lie::kSkipFlush, 1, "durability"},     {Lie::kSkipStable, 1, "durability"},
                      {Lie::kLeakZeroes, 10, "oracle fused"}, {Lie::kFailForNothing, 100, "oracle fused"}};
  for (const Row& row : rows) {
    const std::string found = finding(row.lie, row.one_in, 1);
    EXPECT_NE(found, "") << "lie " << int(row.lie);
    EXPECT_NE(std::string(row.checkers).find(found), std::string::npos) << "lie " << int(row.lie) << ": " << found;
  }
}

/// A planted bug that is on for one test.
class Planted {
 public:
  explicit Planted(std::string_view name) {
    for (Mark* mark = Mark::first(Mark::Kind::kPlant); mark != nullptr; mark = mark->next()) {
      if (mark->name() == name) mark_ = mark;
    }
    WEFT_ASSERT(mark_ != nullptr);
    mark_->turn(true);
  }
  ~Planted() { mark_->turn(false); }

 private:
  Mark* mark_ = nullptr;
};

TEST(Oracle, FindsPlantedBugs) {
  const struct {
    const char* plant;
    const char* checkers;
  } rows[] = {{"compare-too-little", "oracle fused"},
              {"flush-not-done", "durability"},
              {"freeze-lets-pass", "oracle fused"},
              {"fua-ignored", "durability"}};
  for (const auto& row : rows) {
    const Planted planted{row.plant};
    // Some need two commands to meet: not in every world.
    std::string found;
    for (uint64_t seed = 1; seed <= 20 && found.empty(); ++seed) found = finding(Lie::kNone, 1, seed);
    EXPECT_NE(found, "") << row.plant;
    EXPECT_NE(std::string(row.checkers).find(found), std::string::npos) << row.plant << ": " << found;
  }
}

}  // namespace
}  // namespace weft::sim
