// Finds the PDUs in a byte stream that arrives in any parts: a header of HLEN bytes, then all that follows it up to PLEN. Knows no types; digests
// and padding are part of what follows. Holds a header that is cut, no payload. NVMe/TCP 1.0a §3.6.
#pragma once
#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>

#include "wire/tcp/pdu.h"

namespace weft::bench {

template <typename T>
concept PduVisitor = requires(T visitor, std::span<const std::byte> bytes) {
  visitor.on_header(bytes);   // the HLEN bytes
  visitor.on_payload(bytes);  // some of what follows, in order
  visitor.on_end();           // the PDU is complete
};

class PduWalker {
 public:
  enum class Outcome : uint8_t { kFine, kNoPdu };

  /// Tells `visitor` what `bytes` hold. kNoPdu: what arrived has lengths that no PDU has; nothing after it is looked at.
  template <PduVisitor Visitor>
  Outcome walk(std::span<const std::byte> bytes, Visitor& visitor) {
    while (!bytes.empty()) {
      if (payload_left_ > 0) {
        const size_t part = std::min(payload_left_, bytes.size());
        visitor.on_payload(bytes.first(part));
        bytes = bytes.subspan(part);
        payload_left_ -= part;
        if (payload_left_ == 0) visitor.on_end();
        continue;
      }
      const size_t part = std::min(header_wanted() - header_have_, bytes.size());
      std::memcpy(header_.data() + header_have_, bytes.data(), part);
      header_have_ += part;
      bytes = bytes.subspan(part);
      if (header_have_ < sizeof(tcp::CommonHeader)) continue;
      const auto& common = *reinterpret_cast<const tcp::CommonHeader*>(header_.data());  // bytes in any place are one
      if (common.hlen < sizeof common || common.hlen > header_.size() || uint32_t{common.plen} < common.hlen) return Outcome::kNoPdu;
      if (header_have_ < common.hlen) continue;
      payload_left_ = uint32_t{common.plen} - common.hlen;
      header_have_ = 0;
      visitor.on_header(std::span<const std::byte>(header_).first(common.hlen));
      if (payload_left_ == 0) visitor.on_end();
    }
    return Outcome::kFine;
  }

 private:
  size_t header_wanted() const {
    return header_have_ < sizeof(tcp::CommonHeader) ? sizeof(tcp::CommonHeader) : reinterpret_cast<const tcp::CommonHeader*>(header_.data())->hlen;
  }

  std::array<std::byte, sizeof(tcp::CapsuleCmd)> header_{};
  size_t header_have_ = 0;
  size_t payload_left_ = 0;
};

}  // namespace weft::bench
