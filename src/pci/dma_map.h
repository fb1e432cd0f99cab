// Which of our memory a device reaches, and under which addresses: one range for each region, so an address is a base and an offset.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace weft::pci {

class DmaMap {
 public:
  struct Range {
    std::span<std::byte> bytes;
    uint64_t iova = 0;
  };

  /// Requires: overlaps no range that is there.
  void add(std::span<std::byte> bytes, uint64_t iova);
  /// Requires: was added so.
  void remove(std::span<std::byte> bytes);
  /// Where the device sees `bytes`; nothing when they do not lie in one range.
  std::optional<uint64_t> find(std::span<const std::byte> bytes) const;
  /// The memory that the device sees at `iova`; empty when it does not lie in one range.
  std::span<std::byte> memory(uint64_t iova, size_t size) const;

 private:
  std::vector<Range> ranges_;  // by address; few: the shares of buffer pools
};

}  // namespace weft::pci
