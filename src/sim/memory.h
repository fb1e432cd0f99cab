// The memory of one simulated process. Counts what is mapped, so that a leak shows; can refuse the n-th request; gives
// everything back when the process has died without giving it back itself.
#pragma once
#include "core/memory.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace weft::sim {

class Memory final : public MemorySource {
 public:
  /// `refused`: the request with this number, counted from 0, fails.
  explicit Memory(std::optional<uint64_t> refused) : refused_(refused) {}
  ~Memory() override { release_all(); }

  Result<Region> map(size_t size, std::string_view what) override;

  /// What is mapped now, in no lasting order.
  std::vector<std::span<std::byte>> regions() const;
  size_t mapped_bytes() const { return mapped_bytes_; }
  uint64_t requests() const { return requests_; }
  /// Requires: nobody touches any of it any more.
  void release_all();

 private:
  void unmap(std::span<std::byte> bytes) override;

  std::optional<uint64_t> refused_;
  uint64_t requests_ = 0;
  size_t mapped_bytes_ = 0;
  struct Mapping {
    void* allocation;
    size_t size;
  };
  std::map<std::byte*, Mapping> regions_;  // never walked in an order that shows
};

}  // namespace weft::sim
