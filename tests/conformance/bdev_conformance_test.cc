// The block device suites on what ships: ram, null, files through io_uring and through threads, and filters; and on the
// medium in memory that unit tests use.
#include "tests/conformance/bdev_conformance.h"

#include "bdev/null/null_bdev.h"
#include "bdev/ram/ram_bdev.h"
#include "bdev/uring/uring_bdev.h"
#include "media/memory_medium.h"
#include "platform/linux/open_device.h"
#include "platform/linux/temporary_directory.h"
#include "tests/conformance/nvme_generic_environment.h"
#include "tests/conformance/vfio_environment.h"

#include <optional>

namespace weft::conformance {
namespace {

class FileEnvironment final : public Environment {
 public:
  explicit FileEnvironment(platform::MediaChoice choice, std::vector<platform::Filter> filters = {}, uint64_t size_bytes = kSizeBytes)
      : filters_(std::move(filters)), size_bytes_(size_bytes), engine_(choice, kNoLoop, log_) {}
  Result<std::unique_ptr<bdev::Bdev>> make_device(uint32_t block_size) override {
    return platform::open_device({.kind = platform::DeviceKind::kFile,
                                  .name = "file",
                                  .path = directory_.path("disk"),
                                  .size_bytes = size_bytes_,
                                  .block_size = block_size,
                                  .filters = filters_},
                                 {engine_, no_nvme_, memory_, log_});
  }

 private:
  static constexpr platform::EventLoop* kNoLoop[] = {nullptr};
  std::vector<platform::Filter> filters_;
  uint64_t size_bytes_;
  testing_support::NullSink sink_;
  Log log_{sink_};
  platform::TemporaryDirectory directory_;
  platform::MediaEngine engine_;
  platform::NvmeEngine no_nvme_{{}, memory_, {}, log_};
};

class MemoryMediumEnvironment final : public Environment {
 public:
  Result<std::unique_ptr<bdev::Bdev>> make_device(uint32_t block_size) override {
    script_.bytes.resize(kSizeBytes);
    bdev::Info info{.name = "memory", .block_count = kSizeBytes / block_size, .block_size = block_size};
    info.deallocated_reads_zero = true;
    return std::make_unique<bdev::UringBdev<media::MemoryMedium>>(std::make_unique<media::MemoryMedium>(script_), info,
                                                                  memory_);
  }

 private:
  media::MemoryScript script_;
};

Result<std::unique_ptr<bdev::Bdev>> make_ram(MemorySource& memory, uint32_t block_size) {
  return bdev::make_ram(memory, "ram", kSizeBytes / block_size, block_size);
}

Result<std::unique_ptr<bdev::Bdev>> make_null(MemorySource& memory, uint32_t block_size) {
  return bdev::make_null(memory, "null", kSizeBytes / block_size, block_size, 1 << 20);
}

// Filters that let everything through, late or at once, change nothing that is promised.
Result<std::unique_ptr<bdev::Bdev>> make_delayed_ram(MemorySource& memory, uint32_t block_size) {
  return bdev::make_delay(std::move(*make_ram(memory, block_size)), {.delay = milliseconds(1)});
}

const std::vector<platform::Filter> kPassingFilters{
    bdev::DelayRule{.op = bdev::OpClass::kWrite, .delay = milliseconds(1)}, bdev::ErrorRule{.times = 0}};

Kind plain(const char* name, MakeDevice make) {
  return {name, 0, [make] { return std::make_unique<PlainEnvironment>(make); }};
}

Kind file(const char* name, platform::MediaChoice choice, const std::vector<platform::Filter>& filters = {}) {
  return {name, 0, [=] { return std::make_unique<FileEnvironment>(choice, filters); }};
}

std::vector<Kind> memory_kinds() { return with_block_sizes({plain("Ram", make_ram)}); }

std::vector<Kind> storage_kinds() {
  return with_block_sizes({plain("Ram", make_ram),
                           {"MemoryMedium", 0, [] { return std::make_unique<MemoryMediumEnvironment>(); }},
                           file("UringFile", platform::MediaChoice::kUringIfPossible),
                           file("ThreadFile", platform::MediaChoice::kThreads),
                           plain("DelayedRam", make_delayed_ram),
                           file("FilteredFile", platform::MediaChoice::kUringIfPossible, kPassingFilters)});
}

std::vector<Kind> all_kinds() {
  auto kinds = storage_kinds();
  std::ranges::move(with_block_sizes({plain("Null", make_null)}), std::back_inserter(kinds));
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(All, BdevConformance, ::testing::ValuesIn(all_kinds()), name_of);
INSTANTIATE_TEST_SUITE_P(All, StorageConformance, ::testing::ValuesIn(storage_kinds()), name_of);
INSTANTIATE_TEST_SUITE_P(All, MemoryConformance, ::testing::ValuesIn(memory_kinds()), name_of);

// Where there are NVMe devices to be asked: in the guest (tests/guest).
std::vector<Kind> nvme_kinds() {
  auto kinds = real_kinds<VfioEnvironment>("WEFT_NVME_DEVICES", "NvmeDevice");
  std::ranges::move(real_kinds<NvmeGenericEnvironment>("WEFT_NVME_GENERIC", "NvmeGeneric"), std::back_inserter(kinds));
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(Nvme, BdevConformance, ::testing::ValuesIn(nvme_kinds()), name_of);
INSTANTIATE_TEST_SUITE_P(Nvme, StorageConformance, ::testing::ValuesIn(nvme_kinds()), name_of);

/// What takes a file system long must not keep the reactor's other commands waiting.
class LargeFileTest : public BdevConformance {};

TEST_P(LargeFileTest, ReadsWhileItIsDeallocatedFromEndToEnd) {
  TestIo deallocation{Op::kDeallocate, 0, last_block() + 1, {}};
  channel_->submit(deallocation);
  AlignedBytes data{block_size()};
  EXPECT_TRUE(run(Op::kRead, last_block(), 1, data.bytes()).ok());
  EXPECT_FALSE(deallocation.result.has_value());
  wait_until([&] { return deallocation.result.has_value(); });
  EXPECT_TRUE(deallocation.result->ok());
}

Kind large_file(const char* name, platform::MediaChoice choice) {
  constexpr uint64_t kLargeBytes = 256ull << 30;  // sparse; thousands of calls of the file system
  return {name, 4096, [=] { return std::make_unique<FileEnvironment>(choice, std::vector<platform::Filter>{}, kLargeBytes); }};
}

INSTANTIATE_TEST_SUITE_P(All, LargeFileTest,
                         ::testing::Values(large_file("Uring", platform::MediaChoice::kUringIfPossible),
                                           large_file("Thread", platform::MediaChoice::kThreads)),
                         name_of);

}  // namespace
}  // namespace weft::conformance
