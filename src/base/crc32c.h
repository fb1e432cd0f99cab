// CRC32C (Castagnoli, reflected, initial and final value inverted), the header and data digest of NVMe/TCP and the check value of
// stamped blocks. Short ones, headers for example, by the processor's instruction for it; the others by ISA-L, which chooses the widest
// instructions at run time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft {

/// The CRC32C of `bytes`. Check value: "123456789" gives e3069283h.
uint32_t crc32c(std::span<const std::byte> bytes);

/// A CRC32C over bytes that come in parts.
class Crc32c {
 public:
  void update(std::span<const std::byte> bytes);
  uint32_t value() const { return ~state_; }

 private:
  uint32_t state_ = ~0u;
};

}  // namespace weft
