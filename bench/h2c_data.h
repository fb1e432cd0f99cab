// What a host sends for an R2T: H2CData PDUs of at most MAXH2CDATA bytes each, the last one with LAST_PDU. NVMe/TCP 1.0a §3.3.2, §3.6.2.8.
#pragma once
#include <algorithm>
#include <cstdint>

#include "wire/tcp/pdu.h"

namespace weft::bench {

/// Calls `take(header)` for the header of each, in order; its data are the `datal` bytes from `datao` on. Requires: maxh2cdata > 0.
template <typename Take>
void for_each_h2c_data(const tcp::R2t& r2t, uint32_t maxh2cdata, Take take) {
  uint32_t left = r2t.r2tl;
  while (left > 0) {
    const uint32_t length = std::min(left, maxh2cdata);
    tcp::DataPdu header{};
    header.ch = {.type = uint8_t(tcp::PduType::kH2cData),
                 .flags = length == left ? tcp::kFlagLast : uint8_t{0},
                 .hlen = sizeof header,
                 .pdo = sizeof header,
                 .plen = uint32_t(sizeof header) + length};
    header.cccid = r2t.cccid;
    header.ttag = r2t.ttag;
    header.datao = r2t.r2to + (r2t.r2tl - left);
    header.datal = length;
    take(header);
    left -= length;
  }
}

}  // namespace weft::bench
