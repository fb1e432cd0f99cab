// Controller properties (registers): offsets and the fields of CAP, VS, CC, CSTS, CRTO. NVMe Base 2.0 §3.1.3.
#pragma once
#include <cstdint>

#include "base/bits.h"

namespace weft::nvme {

namespace property {
inline constexpr uint32_t kCap = 0x00;   // 8 bytes
inline constexpr uint32_t kVs = 0x08;    // 4
inline constexpr uint32_t kCc = 0x14;    // 4, read and write
inline constexpr uint32_t kCsts = 0x1c;  // 4
inline constexpr uint32_t kNssr = 0x20;  // 4
inline constexpr uint32_t kCrto = 0x68;  // 4
inline constexpr uint32_t kNssrMagic = 0x4e564d65;  // "NVMe"
}  // namespace property

inline constexpr uint32_t kVersion2_0 = 0x00020000;

/// Controller Configuration, 14h.
struct Cc {
  uint32_t raw = 0;
  constexpr bool en() const { return bit<0>(raw); }
  constexpr uint32_t css() const { return bits<6, 4>(raw); }
  constexpr uint32_t mps() const { return bits<10, 7>(raw); }
  constexpr uint32_t ams() const { return bits<13, 11>(raw); }
  constexpr uint32_t shn() const { return bits<15, 14>(raw); }
  constexpr uint32_t iosqes() const { return bits<19, 16>(raw); }
  constexpr uint32_t iocqes() const { return bits<23, 20>(raw); }
};

/// Controller Status, 1Ch.
struct Csts {
  static constexpr uint32_t kRdy = 1 << 0;
  static constexpr uint32_t kCfs = 1 << 1;
  static constexpr uint32_t kShstOccurring = 1 << 2;
  static constexpr uint32_t kShstComplete = 2 << 2;
  static constexpr uint32_t kShstMask = 3 << 2;
  static constexpr uint32_t kNssro = 1 << 4;
};

}  // namespace weft::nvme
