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

// --- folding: V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009 -----------------------
// A register of 128 bits stands for the message so far, and folding it over a distance is multiplying its halves by powers of x modulo the polynomial.

constexpr uint64_t kPolynomial = 0x82f63b78;  // bits reversed, as all that follows

/// x^exponent modulo the polynomial, as a factor for one half of a register.
constexpr uint64_t factor(unsigned exponent) {
  uint64_t remainder = 0x80000000;  // x^0
  for (; exponent > 0; --exponent) remainder = remainder >> 1 ^ ((remainder & 1) != 0 ? kPolynomial : 0);
  return remainder << 1;
}

constexpr size_t kStride = 256;  // bytes: four registers of 64

#define WEFT_FOLDS [[gnu::target("avx512f,avx512vl,vpclmulqdq,pclmul,sse4.2")]]

/// `from`, moved on by Bits, with `next` added.
template <unsigned Bits>
WEFT_FOLDS inline __m512i fold(__m512i from, __m512i next) {
  const __m512i factors = _mm512_set4_epi64(factor(Bits - 32), factor(Bits + 32), factor(Bits - 32), factor(Bits + 32));
  const __m512i low = _mm512_clmulepi64_epi128(from, factors, 0x00);
  const __m512i high = _mm512_clmulepi64_epi128(from, factors, 0x11);
  return _mm512_ternarylogic_epi64(low, high, next, 0x96);  // exclusive or of the three
}

template <unsigned Bits>
WEFT_FOLDS inline __m128i fold(__m128i from, __m128i next) {
  const __m128i factors = _mm_set_epi64x(factor(Bits - 32), factor(Bits + 32));
  const __m128i low = _mm_clmulepi64_si128(from, factors, 0x00);
  const __m128i high = _mm_clmulepi64_si128(from, factors, 0x11);
  return _mm_ternarylogic_epi64(low, high, next, 0x96);
}

/// Copies whole strides; returns the state behind them. Requires: size > 0, a multiple of kStride.
WEFT_FOLDS uint32_t copy_strides(std::byte* to, const std::byte* from, const std::byte* ahead, size_t size) {
  __m512i sums[4];
  for (size_t i = 0; i < 4; ++i) {
    sums[i] = _mm512_loadu_si512(from + i * 64);
    _mm512_storeu_si512(to + i * 64, sums[i]);
  }
  sums[0] = _mm512_xor_si512(sums[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(-1)));  // the initial value
  for (size_t at = kStride; at < size; at += kStride) {
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {
      // Into the second cache only: what waits for memory there does not hold up the loads here.
      _mm_prefetch(reinterpret_cast<const char*>(ahead + at + i * 64), _MM_HINT_T1);
      const __m512i next = _mm512_loadu_si512(from + at + i * 64);
      _mm512_storeu_si512(to + at + i * 64, next);
      sums[i] = fold<kStride * 8>(sums[i], next);
    }
  }
  const __m512i sum = fold<512>(fold<512>(fold<512>(sums[0], sums[1]), sums[2]), sums[3]);
  alignas(64) __m128i lanes[4];
  _mm512_store_si512(lanes, sum);
  const __m128i last = fold<128>(fold<128>(fold<128>(lanes[0], lanes[1]), lanes[2]), lanes[3]);
  const uint64_t state = _mm_crc32_u64(_mm_crc32_u64(0, uint64_t(_mm_cvtsi128_si64(last))), uint64_t(_mm_extract_epi64(last, 1)));
  _mm256_zeroupper();
  return uint32_t(state);
}

const bool kFoldsWide = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("vpclmulqdq") != 0;

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

uint32_t copy_with_crc32c(std::byte* to, std::span<const std::byte> from, const std::byte* next) {
  const size_t strides = kFoldsWide ? from.size() / kStride * kStride : 0;
  Crc32c crc = strides > 0 ? Crc32c{copy_strides(to, from.data(), next != nullptr ? next : from.data(), strides)} : Crc32c{};
  if (strides == from.size()) return crc.value();
  std::memcpy(to + strides, from.data() + strides, from.size() - strides);
  crc.update({to + strides, from.size() - strides});
  return crc.value();
}

}  // namespace weft
