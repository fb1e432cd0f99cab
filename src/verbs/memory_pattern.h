// What memory holds from when a device gets it to when the device fills it. A pattern of its own, so that it is told from the buffers' (core/poison.h).
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

namespace weft::verbs {

inline constexpr std::byte kDevicePattern{0xd7};

inline void fill_with_pattern(std::span<std::byte> memory) { std::ranges::fill(memory, kDevicePattern); }
/// Compares the memory with itself, one byte on: it is much.
inline bool is_pattern(std::span<const std::byte> memory) {
  return memory.empty() || (memory.front() == kDevicePattern && std::memcmp(memory.data(), memory.data() + 1, memory.size() - 1) == 0);
}

}  // namespace weft::verbs
