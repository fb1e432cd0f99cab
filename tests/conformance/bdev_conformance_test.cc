// The block device suites on what ships: ram, null, files through io_uring and through threads, and filters; and on the
// medium in memory that unit tests use.
#include "tests/conformance/bdev_conformance.h"

#include "bdev/null/null_bdev.h"
#include "bdev/ram/ram_bdev.h"
#include "bdev/uring/uring_bdev.h"
#include "media/memory_medium.h"
#include "platform/linux/open_device.h"
#include "platform/linux/temporary_directory.h"

#include <optional>

namespace weft::conformance {
namespace {

class FileEnvironment final : public Environment {
 public:
  explicit FileEnvironment(platform::MediaChoice choice, std::vector<platform::Filter> filters = {})
      : filters_(std::move(filters)), engine_(choice, kNoLoop, log_) {}
  Result<std::unique_ptr<bdev::Bdev>> make_device(uint32_t block_size) override {
    return platform::open_device({.kind = platform::DeviceKind::kFile,
                                  .name = "file",
                                  .path = directory_.path("disk"),
                                  .size_bytes = kSizeBytes,
                                  .block_size = block_size,
                                  .filters = filters_},
                                 engine_, memory_, log_);
  }

 private:
  static constexpr platform::EventLoop* kNoLoop[] = {nullptr};
  std::vector<platform::Filter> filters_;
  testing_support::NullSink sink_;
  Log log_{sink_};
  platform::TemporaryDirectory directory_;
  platform::MediaEngine engine_;
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

}  // namespace
}  // namespace weft::conformance
