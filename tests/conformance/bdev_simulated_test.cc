// The block device suites on production's devices over what is simulated: a disk as it comes, rough, and behind filters; an NVMe controller that
// has everything, and one that has nothing that it need not have.
#include "bdev/delay/delay_bdev.h"
#include "bdev/error/error_bdev.h"
#include "bdev/uring/uring_bdev.h"
#include "sim/disk_medium.h"
#include "tests/conformance/bdev_conformance.h"
#include "tests/conformance/nvme_environment.h"

namespace weft::conformance {
namespace {

class DiskEnvironment final : public Environment {
 public:
  DiskEnvironment(const sim::DiskShape& shape, const sim::DiskOptions& options)
      : disk_({agenda_, referee_, trace_}, shape, Prng{1}, options) {}
  ~DiskEnvironment() override {
    EXPECT_FALSE(referee_.finding().has_value()) << referee_.finding()->what;
    EXPECT_EQ(disk_.outstanding(), 0u);
  }
  Result<std::unique_ptr<bdev::Bdev>> make_device(uint32_t block_size) override {
    return std::make_unique<bdev::UringBdev<sim::DiskMedium>>(std::make_unique<sim::DiskMedium>(disk_),
                                                              disk_.info(block_size), memory_);
  }
  void let_time_pass() override { agenda_.step(); }

 private:
  sim::Agenda agenda_{1};
  sim::Referee referee_;
  sim::Trace trace_{sim::Trace::Print::kNo};
  sim::Disk disk_;
};

const sim::DiskShape kShape{.name = "disk", .size_bytes = kSizeBytes};
const sim::DiskShape kRoughShape{.name = "rough",
                                 .size_bytes = kSizeBytes,
                                 .physical_block_bytes = 512,
                                 .alignment = {.memory = 512, .offset = 512}};

/// Everything that a device has to make good for its medium.
sim::DiskOptions rough_options() {
  sim::DiskOptions options{.latency_spread = milliseconds(5), .outlier_one_in = 100, .short_one_in = 3};
  for (const auto kind :
       {media::Kind::kWriteStable, media::Kind::kZero, media::Kind::kZeroDeallocate, media::Kind::kDiscard}) {
    options.is_unsupported[size_t(kind)] = true;
  }
  return options;
}

/// Behind filters that let everything through.
class FilteredEnvironment final : public Environment {
 public:
  Result<std::unique_ptr<bdev::Bdev>> make_device(uint32_t block_size) override {
    auto delayed = bdev::make_delay(std::move(*below_.make_device(block_size)),
                                    {.op = bdev::OpClass::kWrite, .delay = milliseconds(1)});
    return bdev::make_error(std::move(delayed), {.times = 0});
  }
  void let_time_pass() override { below_.let_time_pass(); }

 private:
  DiskEnvironment below_{kShape, {}};
};

const sim::NvmeShape kRichController{
    .vsl = 3, .has_shadow_doorbells = true, .has_sgls = true, .has_compare = true, .has_verify = true, .has_copy = true, .mssrl = 24, .mcl = 100, .msrc = 4};
const sim::NvmeShape kPlainController{.queue_entries_max = 16, .mdts = 4, .wzsl = 6, .has_deallocate = false};
const sim::DiskOptions kSlow{.latency_spread = milliseconds(5), .outlier_one_in = 100, .outlier = milliseconds(300)};

std::vector<Kind> kinds() {
  return with_block_sizes(
      {{"SimulatedDisk", 0, [] { return std::make_unique<DiskEnvironment>(kShape, sim::DiskOptions{}); }},
       {"RoughDisk", 0, [] { return std::make_unique<DiskEnvironment>(kRoughShape, rough_options()); }},
       {"FilteredDisk", 0, [] { return std::make_unique<FilteredEnvironment>(); }},
       {"NvmeRich", 0, [] { return std::make_unique<NvmeEnvironment>(kRichController, sim::DiskOptions{}); }},
       {"NvmePlain", 0, [] { return std::make_unique<NvmeEnvironment>(kPlainController, kSlow); }}});
}

INSTANTIATE_TEST_SUITE_P(Simulated, BdevConformance, ::testing::ValuesIn(kinds()), name_of);
INSTANTIATE_TEST_SUITE_P(Simulated, StorageConformance, ::testing::ValuesIn(kinds()), name_of);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MemoryConformance);  // a disk lends no memory

}  // namespace
}  // namespace weft::conformance
