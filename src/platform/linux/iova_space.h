// Addresses that a device may use: ranges that the IOMMU can translate, and what is taken of them. First fit from the bottom, in whole pages.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace weft::platform {

class IovaSpace {
 public:
  /// Inclusive, as the kernel tells it.
  struct Range {
    uint64_t first = 0;
    uint64_t last = 0;
  };
  static constexpr uint64_t kPage = 4096;

  /// Ranges that do not overlap, in any order. Nothing below 2 MiB is used: address 0 is what a fault looks like.
  explicit IovaSpace(std::vector<Range> usable);
  /// Takes `size` bytes at a multiple of `alignment`, a power of two of at least a page. Nothing when there are none. Requires: size is in whole pages.
  std::optional<uint64_t> take(uint64_t size, uint64_t alignment);
  /// Requires: was taken so.
  void give_back(uint64_t first, uint64_t size);

 private:
  std::map<uint64_t, uint64_t> free_;  // first -> one beyond
};

}  // namespace weft::platform
