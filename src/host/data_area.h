// Registered memory in pieces: first fit, neighbours join again. Belongs to a transport; one reactor. Tools take what they keep for a run, so taking
// may allocate.
#pragma once
#include <cstddef>
#include <map>
#include <span>

#include "core/memory.h"

namespace weft::host {

class DataArea {
 public:
  static constexpr size_t kAlignment = 64;
  /// What a piece of `size` bytes takes of the area.
  static constexpr size_t rounded(size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

  explicit DataArea(Region region);
  std::span<std::byte> memory() const { return region_.bytes(); }
  /// Empty when no gap is long enough. Requires: size > 0.
  std::span<std::byte> try_take(size_t size);
  /// A piece as it was taken; an empty one is nothing.
  void give_back(std::span<std::byte> piece);
  bool contains(std::span<const std::byte> bytes) const;

 private:
  Region region_;
  std::map<size_t, size_t> gaps_;  // offset → length
};

}  // namespace weft::host
