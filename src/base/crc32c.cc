#include "base/crc32c.h"

#include <isa-l/crc.h>
#include <immintrin.h>

#include <cstring>

namespace weft {
namespace {

constexpr size_t kShort = 128;  // bytes: up to here one instruction for each eight bytes is done before ISA-L has begun

uint32_t of_short(std::span<const std::byte> bytes, uint32_t state) {
  const std::byte* next = bytes.data();
  const std::byte* const end = next + bytes.size();
  uint64_t wide = state;
  for (; end - next >= 8; next += 8) {
    uint64_t word;
    std::memcpy(&word, next, sizeof word);
    wide = _mm_crc32_u64(wide, word);
  }
  state = uint32_t(wide);
  for (; next != end; ++next) state = _mm_crc32_u8(state, uint8_t(*next));
  return state;
}

/// ISA-L's wide variants leave the upper halves of the vector registers in use, and then every SSE instruction that follows, ours and libc's, is slow.
[[gnu::target("avx")]] void release_upper_halves() { _mm256_zeroupper(); }

const bool kHasUpperHalves = __builtin_cpu_supports("avx") != 0;

}  // namespace

void Crc32c::update(std::span<const std::byte> bytes) {
  if (bytes.size() <= kShort) {
    state_ = of_short(bytes, state_);
    return;
  }
  // ISA-L takes the length as int; it does not write through the pointer, though it is not const. Nothing here is near 2 GiB.
  auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
  state_ = crc32_iscsi(data, int(bytes.size()), state_);
  if (kHasUpperHalves) release_upper_halves();
}

uint32_t crc32c(std::span<const std::byte> bytes) {
  Crc32c crc;
  crc.update(bytes);
  return crc.value();
}

}  // namespace weft
