// Views of bytes as wire structs, with the length checked first.
#pragma once
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

namespace weft {

/// A struct that may lie anywhere in a byte buffer.
template <typename T>
concept WireStruct = std::is_trivially_copyable_v<T> && alignof(T) == 1;

/// The T at the start of `bytes`, or null when they are too short. Borrows the bytes.
template <WireStruct T>
const T* view(std::span<const std::byte> bytes) {
  return bytes.size() < sizeof(T) ? nullptr : reinterpret_cast<const T*>(bytes.data());
}

/// The bytes of a wire struct. Borrows it.
template <WireStruct T>
std::span<const std::byte> bytes_of(const T& value) {
  return {reinterpret_cast<const std::byte*>(&value), sizeof(T)};
}

/// Copies the part of `source` that starts at `offset` into `target` and fills the rest of `target` with zeroes.
inline void copy_window(std::span<std::byte> target, std::span<const std::byte> source, size_t offset) {
  const size_t available = offset < source.size() ? source.size() - offset : 0;
  const size_t count = available < target.size() ? available : target.size();
  if (count > 0) std::memcpy(target.data(), source.data() + offset, count);
  if (count < target.size()) std::memset(target.data() + count, 0, target.size() - count);
}

}  // namespace weft
