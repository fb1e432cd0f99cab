// In simulation builds memory that nobody owns, or that its new owner has not filled yet, holds patterns, so that whoever reads it reads wrong
// data; AddressSanitizer also stops whoever touches what is free. Elsewhere these are nothing.
#pragma once
#include <cstddef>
#include <span>

#ifdef WEFT_SIMULATION
#include <cstring>
#if defined(__SANITIZE_ADDRESS__)
#define WEFT_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_HAS_ASAN 1
#endif
#endif
#ifdef WEFT_HAS_ASAN
#include <sanitizer/asan_interface.h>
#endif
#endif

namespace weft {

inline constexpr std::byte kUnfilledPattern{0xa1};
inline constexpr std::byte kFreedPattern{0xf5};

/// Nobody may touch `memory` from now on; its contents stay.
inline void forbid_access([[maybe_unused]] std::span<std::byte> memory) {
#ifdef WEFT_HAS_ASAN
  __asan_poison_memory_region(memory.data(), memory.size());
#endif
}

/// Ends forbid_access().
inline void permit_access([[maybe_unused]] std::span<std::byte> memory) {
#ifdef WEFT_HAS_ASAN
  __asan_unpoison_memory_region(memory.data(), memory.size());
#endif
}

/// `memory` is given to somebody who has to fill it before it means anything.
inline void mark_unfilled([[maybe_unused]] std::span<std::byte> memory) {
#ifdef WEFT_SIMULATION
  permit_access(memory);
  std::memset(memory.data(), int(kUnfilledPattern), memory.size());
#endif
}

/// `memory` is nobody's any more.
inline void mark_freed([[maybe_unused]] std::span<std::byte> memory) {
#ifdef WEFT_SIMULATION
  std::memset(memory.data(), int(kFreedPattern), memory.size());
  forbid_access(memory);
#endif
}

}  // namespace weft
