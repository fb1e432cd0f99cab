// Memory for pools and RAM disks, by mmap: in huge pages where they can be had, touched lazily, not reserved in advance.
#pragma once
#include <array>
#include <atomic>
#include <string>

#include "core/memory.h"
#include "platform/linux/page_collapser.h"

namespace weft::platform {

enum class HugePages : uint8_t {
  kTransparent,  // asks for them; the kernel gives them where it can
  kReserved,     // from the administrator's pool (vm.nr_hugepages) while it lasts, else as above
  kReservedOrLater,  // from that pool while it lasts, else 4 KiB pages, of which huge ones are made when they have been used: page_collapser.h
};

/// Any thread.
class MmapMemory final : public MemorySource {
 public:
  explicit MmapMemory(HugePages huge_pages) : huge_pages_(huge_pages) {}
  Result<Region> map(size_t size, std::string_view what) override;
  /// What was mapped since the start, in which pages: "1 GiB in transparent huge pages, 12 KiB in 4 KiB pages; 4 KiB given back". Pages count as what they
  /// were mapped as.
  std::string describe() const;

 private:
  enum class Pages : uint8_t { kReserved, kTransparent, kSmall };
  static constexpr size_t kPagesCount = 3;
  void unmap(std::span<std::byte> bytes) override;
  std::span<std::byte> try_map_reserved(size_t size);
  void count(Pages pages, size_t size) { mapped_[size_t(pages)].fetch_add(size, std::memory_order_relaxed); }

  HugePages huge_pages_;
  PageCollapser collapser_;
  std::array<std::atomic<uint64_t>, kPagesCount> mapped_{};  // bytes ever mapped, by Pages
  std::atomic<uint64_t> unmapped_{0};
};

}  // namespace weft::platform
