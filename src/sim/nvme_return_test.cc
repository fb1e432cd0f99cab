// What the driver's block devices do while the device under them changes, goes and comes back.
#include "sim/nvme_rig.h"

#include "base/bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using testing_support::NvmeRig;
using testing_support::NvmeRigOptions;

uint64_t errors(NvmeRig& rig) {
  uint64_t sum = 0;
  for (const auto& lane : rig.process->lanes()) sum += lane->errors();
  return sum;
}

/// I/O that ends while the device is away.
void work_in_the_gap(NvmeRig& rig) {
  const uint64_t before = errors(rig);
  const Instant began = rig.agenda.now();
  rig.work(5);
  EXPECT_EQ(errors(rig) - before, 5 * rig.process->lanes().size());
  EXPECT_LT(rig.agenda.now() - began, milliseconds(50));
}

void let_go(NvmeRig& rig) {
  rig.process->let_go();
  rig.run_until([&] { return rig.process->has_let_go(); });
}

void come_back(NvmeRig& rig, NvmeDevice& hardware) {
  rig.process->take(hardware);
  rig.run_until([&] { return rig.process->started().has_value(); });
  ASSERT_TRUE(rig.process->started()->has_value());
  rig.process->use_again();
  rig.run_until([&] { return rig.process->is_used(); });
}

void end_well(NvmeRig& rig) {
  rig.volume.expect_no_more(ErrorKind::kTimeout);
  rig.work(30);
  if (rig.found().empty()) rig.read_back();
  if (rig.found().empty()) rig.stop();
  EXPECT_EQ(rig.found(), "");
}

class NvmeReturn : public ::testing::Test {
 protected:
  NvmeRig& make(const NvmeRigOptions& options) {
    rig_ = std::make_unique<NvmeRig>(options);
    rig_->start();
    EXPECT_EQ(rig_->found(), "");
    rig_->work(20);
    rig_->volume.expect(ErrorKind::kTimeout);
    return *rig_;
  }
  std::unique_ptr<NvmeRig> rig_;
};

TEST_F(NvmeReturn, ADeviceThatIsPulledUnderLoadGoesOnWhereItStoppedWhenItIsBack) {
  NvmeRig& rig = make({.seed = 11, .reactors = 2});
  rig.begin(100);
  rig.let_pass(milliseconds(2));
  rig.disk.remove();
  rig.run_until([&] { return rig.process->is_lost(); });
  rig.finish();
  ASSERT_EQ(rig.found(), "");
  EXPECT_FALSE(rig.process->device().blocks_available());
  work_in_the_gap(rig);
  let_go(rig);
  work_in_the_gap(rig);
  rig.volume.power_cut();  // its cache went with it
  rig.disk.heal();
  come_back(rig, rig.device);
  EXPECT_TRUE(rig.process->has_logged("it is back"));
  EXPECT_TRUE(rig.process->device().blocks_available());
  end_well(rig);
}

TEST_F(NvmeReturn, ADeviceThatIsGivenAwayUnderLoadFinishesWhatItHas) {
  NvmeRig& rig = make({.seed = 12, .reactors = 2});
  rig.begin(200);
  rig.let_pass(milliseconds(1));
  let_go(rig);
  rig.finish();
  ASSERT_EQ(rig.found(), "");
  EXPECT_EQ(rig.disk.outstanding(), 0u);
  EXPECT_EQ(rig.device.counts().isolations, 0u);
  EXPECT_GT(errors(rig), 0u);
  come_back(rig, rig.device);
  end_well(rig);
}

TEST_F(NvmeReturn, AnotherDiskInItsPlaceIsRefusedWithWords) {
  NvmeRig& rig = make({.seed = 13});
  let_go(rig);
  Disk other_disk({rig.agenda, rig.referee, rig.trace}, {.name = "other"}, Prng{1}, {});
  NvmeShape shape = rig.options.shape;
  shape.serial = "SIM0002";
  NvmeDevice other({rig.agenda, rig.referee, rig.trace}, shape, {{.disk = &other_disk, .block_count = 4096}}, Prng{2});
  come_back(rig, other);
  work_in_the_gap(rig);
  EXPECT_TRUE(rig.process->has_logged("serial SIM0002): this is another disk"));
  EXPECT_EQ(other.counts().commands, 0u);
  let_go(rig);
  come_back(rig, rig.device);
  end_well(rig);
}

TEST_F(NvmeReturn, ADeviceThatIsBackWithoutACommandGoesOnWithoutIt) {
  NvmeRigOptions options{.seed = 16};
  options.shape.has_compare = options.shape.has_verify = options.shape.has_copy = true;
  NvmeRig& rig = make(options);
  EXPECT_TRUE(rig.process->takes(bdev::Op::kCompare));
  let_go(rig);
  NvmeShape shape = options.shape;
  shape.has_compare = shape.has_verify = shape.has_copy = false;
  NvmeDevice older({rig.agenda, rig.referee, rig.trace}, shape, {rig.device.namespace_of(1)}, Prng{2});
  come_back(rig, older);
  for (const bdev::Op op : {bdev::Op::kCompare, bdev::Op::kVerify, bdev::Op::kCopy}) EXPECT_FALSE(rig.process->takes(op));
  const uint64_t errors_before = errors(rig);
  rig.work(30);
  EXPECT_EQ(errors(rig), errors_before);
  EXPECT_GT(older.counts().commands, 0u);
  let_go(rig);
  come_back(rig, rig.device);
  end_well(rig);
}

TEST_F(NvmeReturn, ADeviceThatTearsWritesSoonerThanHostsWereToldIsRefused) {
  const NvmeRigOptions options{.seed = 17, .atomic_bytes = 16 << 10};
  NvmeRig& rig = make(options);
  let_go(rig);
  NvmeShape shape = options.shape;
  shape.mdts = 1;
  NvmeDevice other({rig.agenda, rig.referee, rig.trace}, shape, {rig.device.namespace_of(1)}, Prng{2});
  come_back(rig, other);
  work_in_the_gap(rig);
  EXPECT_TRUE(rig.process->has_logged("writes that are torn sooner"));
  let_go(rig);
  come_back(rig, rig.device);
  end_well(rig);
}

TEST_F(NvmeReturn, AChangeOfSizeIsTold) {
  NvmeRig& rig = make({});
  uint64_t told = 0;
  rig.process->device().watch([&] { told = rig.process->device().blocks_available().value(); });
  NvmeNamespace ns = rig.device.namespace_of(1);
  for (const uint64_t blocks : {ns.block_count + 500, ns.block_count}) {
    ns.block_count = blocks;
    rig.device.change(1, ns);
    rig.run_until([&] { return told == blocks; });
  }
  end_well(rig);
}

TEST_F(NvmeReturn, ANamespaceThatIsDetachedFailsItsIoUntilItIsAttachedAgain) {
  NvmeRig& rig = make({.reactors = 2});
  NvmeNamespace ns = rig.device.namespace_of(1);
  ns.is_attached = false;
  rig.device.change(1, ns);
  rig.run_until([&] { return rig.process->has_logged("its I/O fails"); });
  rig.let_pass(milliseconds(1));
  const uint64_t commands = rig.device.counts().commands;
  work_in_the_gap(rig);
  EXPECT_EQ(rig.device.counts().commands, commands);
  ns.is_attached = true;
  rig.device.change(1, ns);
  rig.run_until([&] { return rig.process->has_logged("it is back"); });
  rig.let_pass(milliseconds(1));
  EXPECT_EQ(rig.process->controller().counters().resets.value(), 0u);
  end_well(rig);
}

// An I/O of the old block size would move eight times as much as its memory holds.
TEST_F(NvmeReturn, ANamespaceThatWasFormattedIsNotTouchedAnyMore) {
  NvmeRig& rig = make({});
  const NvmeNamespace before = rig.device.namespace_of(1);
  NvmeNamespace ns = before;
  ns.block_size = 4096;
  ns.block_count /= 8;
  rig.device.change(1, ns);
  rig.run_until([&] { return rig.process->has_logged("blocks of another size"); });
  rig.let_pass(milliseconds(1));
  work_in_the_gap(rig);
  rig.device.change(1, before);
  rig.run_until([&] { return rig.process->has_logged("it is back"); });
  rig.let_pass(milliseconds(1));
  end_well(rig);
}

TEST_F(NvmeReturn, ItsNamesAreThoseOfTheNamespace) {
  NvmeRig& rig = make({});
  NvmeNamespace ns = rig.device.namespace_of(1);
  const bdev::Identity names = rig.process->info().identity;
  EXPECT_EQ(names.serial, "SIM0001");
  EXPECT_EQ(names.uuid[0], 0xab);
  EXPECT_EQ(names.uuid[15], 1);
  let_go(rig);
  ns.nguid.fill(0x11);
  ns.eui64.fill(0x22);
  rig.device.change(1, ns);
  come_back(rig, rig.device);
  EXPECT_TRUE(rig.process->has_logged("this is another disk"));
  let_go(rig);
  rig.device.change(1, {.disk = &rig.disk, .block_count = ns.block_count, .block_size = ns.block_size});
  come_back(rig, rig.device);
  EXPECT_EQ(rig.process->info().identity, names);
  end_well(rig);
}

TEST_F(NvmeReturn, ItsLatenciesAreCountedAndLoggedWhenItGoes) {
  NvmeRig& rig = make({.seed = 15, .reactors = 2});
  const bdev::NvmeDevice& place = rig.process->place();
  EXPECT_GT(place.latencies(bdev::Op::kRead).count(), 0u);
  // The disk takes 10 to 100 us for an operation.
  EXPECT_GE(place.latencies(bdev::Op::kRead).within(500), microseconds(10));
  EXPECT_LE(place.latencies(bdev::Op::kRead).within(500), milliseconds(5));
  let_go(rig);
  EXPECT_TRUE(rig.process->has_logged(" reads, half within "));
  come_back(rig, rig.device);
  end_well(rig);
}

Result<std::vector<std::byte>> read_log(NvmeRig& rig, nvme::LogPage page, size_t ns = 0) {
  std::optional<Result<std::vector<std::byte>>> read;
  rig.process->device(ns).read_log(page, [&](Result<std::vector<std::byte>> result) { read = std::move(result); });
  rig.run_until([&] { return read.has_value(); });
  return *read;
}

TEST_F(NvmeReturn, ItsLogsAreReadWhileItIsThereAndTheirReadersAreToldWhenItIsNot) {
  NvmeRig& rig = make({.second_block_size = 4096, .lanes = 2});
  DiskOptions failing = rig.disk.options();
  failing.error_one_in = 1;
  rig.disk.set_options(failing);
  rig.volume.expect(ErrorKind::kMediaError);
  rig.work(2);
  rig.disk.heal();
  const auto smart = read_log(rig, nvme::LogPage::kSmart);
  ASSERT_TRUE(smart.has_value());
  EXPECT_EQ(uint16_t{view<nvme::SmartLog>(*smart)->composite_temperature}, 310);
  const auto errors_of_first = read_log(rig, nvme::LogPage::kError);
  ASSERT_TRUE(errors_of_first.has_value());
  EXPECT_GT(errors_of_first->size(), 0u);
  EXPECT_EQ(errors_of_first->size() % sizeof(nvme::ErrorLogEntry), 0u);
  EXPECT_EQ(read_log(rig, nvme::LogPage::kError, 1).value().size(), 0u);  // nothing was wrong with the other namespace
  rig.disk.remove();
  EXPECT_FALSE(read_log(rig, nvme::LogPage::kSmart));  // nobody answers, until the driver gives up
  rig.run_until([&] { return rig.process->is_lost(); });
  EXPECT_FALSE(read_log(rig, nvme::LogPage::kSmart));
  let_go(rig);
  EXPECT_FALSE(read_log(rig, nvme::LogPage::kSmart));
  rig.volume.power_cut();
  rig.second_volume.power_cut();
  rig.second_disk.heal();
  rig.disk.heal();
  rig.volume.expect_no_more(ErrorKind::kMediaError);
  come_back(rig, rig.device);
  EXPECT_TRUE(read_log(rig, nvme::LogPage::kSmart));
  end_well(rig);
}

TEST_F(NvmeReturn, TwoNamespacesOfADeviceShareTheQueuePairsOfTheirReactors) {
  NvmeRig& rig = make({.seed = 14, .second_block_size = 4096, .reactors = 2, .lanes = 4});
  rig.second_volume.expect(ErrorKind::kTimeout);
  EXPECT_EQ(rig.device.io_queues(), 2u);
  rig.begin(100);
  rig.let_pass(milliseconds(1));
  NvmeNamespace ns = rig.device.namespace_of(1);
  ns.is_attached = false;
  rig.device.change(1, ns);
  rig.run_until([&] { return rig.process->has_logged("nsid=1: its I/O fails"); });
  rig.finish();
  ASSERT_EQ(rig.found(), "");
  // The other namespace has noticed nothing.
  for (const auto& lane : rig.process->lanes()) {
    if (&lane->volume() == &rig.second_volume) {
      EXPECT_EQ(lane->errors(), 0u);
    }
  }
  ns.is_attached = true;
  rig.device.change(1, ns);
  rig.run_until([&] { return rig.process->has_logged("it is back"); });
  rig.let_pass(milliseconds(1));
  rig.second_volume.expect_no_more(ErrorKind::kTimeout);
  end_well(rig);
}

}  // namespace
}  // namespace weft::sim
