// The outer shape of a PDU: which types each side may send, flags, lengths, where the data lies. Written from the
// specification, and on purpose not with the parsers of transport/tcp and host/. NVMe/TCP 1.0a §3.1.
//   | header hlen | hdgst? 4 | pad | data data_size | ddgst? 4 |
#pragma once
#include "sim/wire_tap.h"
#include "wire/tcp/pdu.h"

#include <expected>
#include <string>

namespace weft::sim {

/// What ICReq and ICResp have settled.
struct WireSession {
  bool has_header_digest = false;
  bool has_data_digest = false;
  uint32_t host_alignment = 4;    // bytes, of data that the host sends: (CPDA + 1) * 4
  uint32_t target_alignment = 4;  // of data that the target sends: (HPDA + 1) * 4
  uint32_t maxh2cdata = 0;        // bytes
  uint32_t maxr2t = 1;            // R2Ts outstanding for one command, 1-based
};

struct WireFrame {
  tcp::PduType type;
  uint8_t flags;
  bool has_header_digest;
  bool has_data_digest;
  uint32_t hlen;
  uint32_t header_size;  // with its digest
  uint32_t data_offset;  // header_size without data
  uint32_t data_size;
  uint32_t size;  // of the whole PDU
};

/// Errors: the rule that `header` breaks, in words.
std::expected<WireFrame, std::string> frame_of(Side from, const tcp::CommonHeader& header, const WireSession& session);

/// "R2T"; "PDU of type 0ah" for what has no name.
std::string name_of_pdu(uint8_t type);

}  // namespace weft::sim
