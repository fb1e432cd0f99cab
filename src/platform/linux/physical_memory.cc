#include "platform/linux/physical_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/bits.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHugePage = 2 << 20;
constexpr uint64_t kIsPresent = uint64_t{1} << 63;         // pagemap
constexpr uint64_t kFrameNumber = (uint64_t{1} << 55) - 1;  // pagemap; 0 for who may not know
constexpr uint64_t kIsHugetlb = uint64_t{1} << 17;         // kpageflags

/// A file of one 64-bit word for each page.
class PageTable {
 public:
  explicit PageTable(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  std::optional<uint64_t> at(uint64_t page) const {
    uint64_t word = 0;
    if (::pread(fd_.get(), &word, sizeof word, off_t(page * sizeof word)) != ssize_t(sizeof word)) return std::nullopt;
    return word;
  }

 private:
  UniqueFd fd_;
};

}  // namespace

Result<std::vector<pci::DmaMap::Range>> physical_ranges(const SystemRoot& root, std::span<std::byte> bytes, std::string_view what) {
  const PageTable frames{root.proc + "/self/pagemap"}, flags{root.proc + "/kpageflags"};
  std::vector<pci::DmaMap::Range> ranges;
  while (!bytes.empty()) {
    const uint64_t address = reinterpret_cast<uintptr_t>(bytes.data());
    const auto entry = frames.at(address / kPage);
    const bool is_there = entry && (*entry & kIsPresent) != 0;
    const uint64_t frame = entry.value_or(0) & kFrameNumber;
    const auto kind = flags.at(frame);
    if (!entry || !kind || (is_there && frame == 0)) {
      return fail(Errc::kDenied, "a device without an IOMMU wants physical addresses, which the kernel tells only root (CAP_SYS_ADMIN)");
    }
    if (!is_there || (*kind & kIsHugetlb) == 0) {
      return fail(Errc::kLimit, fmt::format("no reserved huge pages are left for {}, and other memory the kernel may move away from under a device without an IOMMU: "
                                            "raise vm.nr_hugepages", what));
    }
    const uint64_t physical = frame * kPage + address % kPage;
    const auto part = bytes.first(std::min<size_t>(bytes.size(), align_up(address + 1, kHugePage) - address));
    const bool goes_on = !ranges.empty() && ranges.back().iova + ranges.back().bytes.size() == physical;
    if (goes_on) {
      ranges.back().bytes = {ranges.back().bytes.data(), ranges.back().bytes.size() + part.size()};
    } else {
      ranges.push_back({part, physical});
    }
    bytes = bytes.subspan(part.size());
  }
  return ranges;
}

}  // namespace weft::platform
