#include "platform/linux/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>

#include "base/assert.h"
#include "base/bits.h"
#include "base/units.h"
#include "platform/linux/text_file.h"

namespace weft::platform {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = PageCollapser::kHugePage;
constexpr int kProtection = PROT_READ | PROT_WRITE;
constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

/// Which limit it was that mmap ran into.
std::string limit_text() {
  rlimit address_space{};
  if (getrlimit(RLIMIT_AS, &address_space) == 0 && address_space.rlim_cur != RLIM_INFINITY) {
    return fmt::format("the limit on address space is {} (ulimit -v)", format_size(address_space.rlim_cur));
  }
  if (read_word("/proc/sys/vm/overcommit_memory") == "2") {
    return "memory is not overcommitted (vm.overcommit_memory=2): make it smaller, or raise vm.overcommit_ratio";
  }
  return "make it smaller, or raise vm.max_map_count if there are very many mappings";
}

/// `size` bytes at a multiple of `alignment`; null when there are none.
std::byte* map_aligned(size_t size, size_t alignment) {
  const size_t slack = alignment - kPage;
  void* mapped = ::mmap(nullptr, size + slack, kProtection, kFlags, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* start = static_cast<std::byte*>(mapped);
  auto* aligned = start + (align_up(reinterpret_cast<uintptr_t>(start), alignment) - reinterpret_cast<uintptr_t>(start));
  const auto before = size_t(aligned - start);
  if (before > 0) ::munmap(start, before);
  if (slack > before) ::munmap(aligned + size, slack - before);
  return aligned;
}

}  // namespace

Result<Region> MmapMemory::map(size_t size, std::string_view what) {
  WEFT_ASSERT(size > 0);
  const bool is_large = size >= kHugePage;
  if (huge_pages_ != HugePages::kTransparent && is_large) {
    if (const auto bytes = try_map_reserved(size); !bytes.empty()) return Region{*this, bytes};
  }
  const size_t rounded = align_up(size, kPage);
  std::byte* start = rounded < size ? nullptr : map_aligned(rounded, is_large ? kHugePage : kPage);
  if (start == nullptr) {
    return fail(Errc::kLimit, fmt::format("cannot map {} for {}: {}", format_size(size), what, limit_text()));
  }
  // Refused where the kernel was built without them; then the pages are small, which works as well.
  const bool is_allowed = is_large && !read_word("/sys/kernel/mm/transparent_hugepage/enabled").ends_with("[never]");
  const bool is_later = huge_pages_ == HugePages::kReservedOrLater;
  const bool is_huge = is_allowed && !is_later && ::madvise(start, rounded, MADV_HUGEPAGE) == 0;
  count(is_huge ? Pages::kTransparent : Pages::kSmall, rounded);
  if (is_allowed && is_later) collapser_.add({start, rounded});
  return Region{*this, {start, rounded}};
}

/// Populated at once: a page that the pool turns out not to have would otherwise be a SIGBUS later.
std::span<std::byte> MmapMemory::try_map_reserved(size_t size) {
  const size_t rounded = align_up(size, kHugePage);
  constexpr int kReservedFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE;
  void* start = ::mmap(nullptr, rounded, kProtection, kReservedFlags, -1, 0);
  if (start == MAP_FAILED) return {};
  count(Pages::kReserved, rounded);
  return {static_cast<std::byte*>(start), rounded};
}

void MmapMemory::unmap(std::span<std::byte> bytes) {
  collapser_.remove(bytes);
  const int failed = ::munmap(bytes.data(), bytes.size());
  WEFT_ASSERT(failed == 0);
  unmapped_.fetch_add(bytes.size(), std::memory_order_relaxed);
}

std::string MmapMemory::describe() const {
  constexpr std::array<std::string_view, kPagesCount> kNames{"reserved huge pages", "transparent huge pages", "4 KiB pages"};
  std::string text;
  for (size_t i = 0; i < kPagesCount; ++i) {
    const uint64_t bytes = mapped_[i].load(std::memory_order_relaxed);
    if (bytes > 0) text += fmt::format("{}{} in {}", text.empty() ? "" : ", ", format_size(bytes), kNames[i]);
  }
  const uint64_t unmapped = unmapped_.load(std::memory_order_relaxed);
  if (unmapped > 0) text += fmt::format("; {} given back", format_size(unmapped));
  return text.empty() ? "nothing" : text;
}

}  // namespace weft::platform
