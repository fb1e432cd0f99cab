// Memory that a RAM namespace finds again when it is removed and added while its target runs, so that what hosts have
// on the way to it has one contents to work on. The target's process loses it when it dies.
#pragma once
#include "core/memory.h"

#include <algorithm>
#include <vector>

namespace weft::sim {

class KeptMemory final : public MemorySource {
 public:
  /// Requires: the same size each time; one region at a time.
  Result<Region> map(size_t size, std::string_view) override {
    constexpr size_t kPage = 4096;
    bytes_.resize(size + kPage);
    auto* page = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(bytes_.data()) + kPage - 1) / kPage * kPage);
    return Region{*this, {page, size}};
  }
  void lose() { std::ranges::fill(bytes_, std::byte{0}); }

 private:
  void unmap(std::span<std::byte>) override {}
  std::vector<std::byte> bytes_;
};

}  // namespace weft::sim
