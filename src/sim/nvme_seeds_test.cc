// The NVMe driver in small worlds drawn from seeds: any controller, any load, and in half of them faults. Without faults nothing may be late, wrong or
// reset; with a bug planted, somebody finds it.
#include "sim/marks.h"
#include "sim/nvme_rig.h"
#include "sim/nvme_shapes.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using testing_support::NvmeRig;
using testing_support::NvmeRigOptions;

constexpr uint64_t kSeeds = 4;       // of each kind of world
constexpr uint64_t kPlantSeeds = 60;  // in which a planted bug must be found

/// A controller without the commands that came later gives the seeds that found something the worlds in which they did.
enum class Commands : uint8_t { kDrawn, kOldest };

NvmeRigOptions options_of(uint64_t seed, Commands commands = Commands::kDrawn) {
  Prng random{seed * 31 + 7};
  NvmeRigOptions options{.seed = seed, .shape = draw_shape(random)};
  options.block_size = random.one_in(3) ? 4096 : 512;
  options.has_volatile_cache = !random.one_in(4);
  options.reactors = uint32_t(1 + random.below(3));
  options.lanes = uint32_t(1 + random.below(4));
  options.disk.reorders = !random.one_in(4);
  if (commands == Commands::kOldest) options.shape.has_compare = options.shape.has_verify = options.shape.has_copy = false;
  return options;
}

/// One process after the other, ended in order or by a crash, and then everything is read back.
std::string run_quiet(uint64_t seed) {
  NvmeRig rig(options_of(seed));
  Prng random{seed};
  for (int life = 0; life < 3 && rig.found().empty(); ++life) {
    rig.start();
    if (!rig.found().empty()) break;
    rig.begin(25);
    if (random.one_in(2)) {
      rig.let_pass(microseconds(int64_t(random.below(5000))));
      random.one_in(2) ? rig.power_cut() : rig.kill();
      continue;
    }
    rig.finish();
    if (!rig.found().empty()) break;
    const nvme::ControllerCounters& counters = rig.process->controller().counters();
    if (counters.resets.value() + counters.aborts.value() != 0) rig.referee.fail("nvme-quiet", "a controller that did nothing wrong was reset");
    rig.stop();
    if (rig.found().empty() && random.one_in(2)) rig.power_off();
  }
  if (rig.found().empty()) rig.start();
  if (rig.found().empty()) rig.read_back();
  if (rig.found().empty()) rig.stop();
  return rig.found();
}

NvmeFaults faults_of(Prng& random) {
  NvmeFaults faults;
  uint64_t* const kinds[] = {&faults.completion_lost_one_in, &faults.wrong_cid_one_in, &faults.wrong_sqhd_one_in, &faults.twice_one_in,
                             &faults.fatal_one_in};
  for (uint64_t* kind : kinds) {
    if (random.one_in(3)) *kind = 50 + random.below(300);
  }
  if (random.one_in(4)) faults.never_ready = 1;  // the next time
  return faults;
}

/// Faults while it works, then none, and everything is read back.
std::string run_rough(uint64_t seed, Commands commands) {
  NvmeRig rig(options_of(seed, commands));
  Prng random{seed * 3};
  rig.start();
  if (!rig.found().empty()) return rig.found();
  rig.volume.expect(ErrorKind::kTimeout);
  rig.volume.expect(ErrorKind::kMediaError);
  rig.device.set_faults(faults_of(random));
  DiskOptions disk = rig.disk.options();
  if (random.one_in(3)) disk.error_one_in = 20 + random.below(100);
  if (random.one_in(3)) disk.lost_one_in = 50 + random.below(200);
  if (random.one_in(3)) disk.outlier_one_in = 50;
  rig.disk.set_options(disk);
  rig.begin(40);
  rig.let_pass(microseconds(int64_t(random.below(3000))));
  const bool is_pulled = random.one_in(6);
  if (is_pulled) rig.disk.remove();
  rig.finish();
  if (!rig.found().empty()) return rig.found();
  rig.device.set_faults({});
  rig.disk.heal();
  const bool has_failed = rig.process->controller().state() == nvme::Controller::State::kFailed;
  if (!has_failed) rig.work(20);
  if (rig.found().empty()) rig.stop();
  if (!rig.found().empty()) return rig.found();
  if (is_pulled) rig.volume.power_cut();
  rig.start();
  rig.volume.expect_no_more(ErrorKind::kTimeout);
  rig.volume.expect_no_more(ErrorKind::kMediaError);
  if (rig.found().empty()) rig.work(10);
  if (rig.found().empty()) rig.read_back();
  if (rig.found().empty()) rig.stop();
  return rig.found();
}

TEST(NvmeSeeds, WithoutFaultsNothingIsLateOrWrong) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) ASSERT_EQ(run_quiet(seed), "") << "seed " << seed;
}

/// Seeds that have found something.
constexpr uint64_t kFound[] = {
    142,       // the admin queue's head was told to a controller that had just been disabled
    306, 311,  // a queue that broke while others were still made again stayed so
};

TEST(NvmeSeeds, UnderFaultsEveryIoEndsAndNothingIsLost) {
  for (const uint64_t seed : kFound) ASSERT_EQ(run_rough(seed, Commands::kOldest), "") << "seed " << seed;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) ASSERT_EQ(run_rough(seed, Commands::kDrawn), "") << "seed " << seed;
}

struct PlantedBug {
  const char* name;
  const char* checkers;  // who may find it
};

class NvmePlants : public ::testing::TestWithParam<PlantedBug> {};

TEST_P(NvmePlants, AreFound) {
  const auto all = marks(Mark::Kind::kPlant);
  const auto plant = std::ranges::find(all, GetParam().name, [](const Mark* mark) { return mark->name(); });
  ASSERT_NE(plant, all.end());
  (*plant)->turn(true);
  std::string found;
  for (uint64_t seed = 1; seed <= kPlantSeeds && found.empty(); ++seed) found = run_quiet(seed);
  (*plant)->turn(false);
  const std::string checker = found.substr(0, found.find(':'));
  EXPECT_NE(std::string(GetParam().checkers).find(checker), std::string::npos) << found;
  EXPECT_FALSE(checker.empty()) << "in none of " << kPlantSeeds << " worlds";
}

INSTANTIATE_TEST_SUITE_P(NvmeSeeds, NvmePlants,
                         ::testing::Values(PlantedBug{"nvme-not-published", "nvme-queue"}, PlantedBug{"nvme-not-observed", "nvme-quiet"},
                                           PlantedBug{"nvme-shadow-not-fenced", "nvme-quiet|liveness|oracle"},
                                           PlantedBug{"nvme-phase-kept", "nvme-quiet|liveness|oracle"},
                                           PlantedBug{"nvme-cid-reused", "nvme-queue"}, PlantedBug{"nvme-flush-not-sent", "durability"},
                                           PlantedBug{"nvme-last-status", "oracle"}, PlantedBug{"nvme-copy-range-repeated", "oracle"},
                                           PlantedBug{"nvme-fua-missing", "durability"},
                                           PlantedBug{"nvme-shutdown-skipped", "durability"}, PlantedBug{"nvme-interrupt-not-armed", "nvme-quiet|liveness|oracle"}),
                         [](const auto& each) {
                           std::string name = each.param.name;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace weft::sim
