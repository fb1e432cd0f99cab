// The names that a medium has by itself, wherever it is plugged in: those that an NVMe namespace and its device say of themselves. A plain value.
#pragma once
#include <array>
#include <cstdint>
#include <string>

namespace weft::bdev {

struct Identity {
  std::array<uint8_t, 16> uuid{};  // RFC 4122 byte order; zeroes: none, as of the next two
  std::array<uint8_t, 16> nguid{};
  std::array<uint8_t, 8> eui64{};
  std::string serial;              // of the device; empty: none

  /// Whether hosts can tell the medium by it.
  bool has_id() const { return uuid != decltype(uuid){} || nguid != decltype(nguid){} || eui64 != decltype(eui64){}; }
  friend bool operator==(const Identity&, const Identity&) = default;
};

}  // namespace weft::bdev
