#include "transport/tcp/pdu_rules.h"

#include "base/simulation.h"

namespace weft::tcp {
namespace {

std::unexpected<Violation> wrong_field(size_t offset) { return std::unexpected(Violation{Fes::kInvalidHeaderField, uint32_t(offset)}); }
std::unexpected<Violation> out_of_sequence() { return std::unexpected(Violation{Fes::kSequenceError}); }

std::expected<Layout, Violation> check_ic_header(const CommonHeader& header) {
  if (header.flags != 0) return wrong_field(offsetof(CommonHeader, flags));
  if (header.hlen != sizeof(IcReq)) return wrong_field(offsetof(CommonHeader, hlen));
  if (header.pdo != 0) return wrong_field(offsetof(CommonHeader, pdo));
  if (uint32_t{header.plen} != sizeof(IcReq)) return wrong_field(offsetof(CommonHeader, plen));
  return Layout{sizeof(IcReq), sizeof(IcReq), 0, sizeof(IcReq), false};
}

/// CapsuleCmd and H2CData. Whether there is data is told by PLEN; what PDO and the flags say must agree with it.
std::expected<Layout, Violation> check_data_header(const CommonHeader& header, size_t hlen, uint8_t flags_allowed, const Session& session) {
  const size_t header_size = hlen + (session.has_header_digest ? kDigestSize : 0);
  const size_t size = header.plen;
  const bool has_data = size > header_size;
  const bool has_data_digest = has_data && session.has_data_digest;

  if ((header.flags & ~flags_allowed) != 0) return wrong_field(offsetof(CommonHeader, flags));
  if (((header.flags & kFlagHdgst) != 0) != session.has_header_digest) return wrong_field(offsetof(CommonHeader, flags));
  // Without data the flag says nothing, so a host that always sets it is let through.
  const bool claims_data_digest = (header.flags & kFlagDdgst) != 0;
  if (claims_data_digest != has_data_digest && (has_data || !session.has_data_digest)) {
    return wrong_field(offsetof(CommonHeader, flags));
  }
  if (header.hlen != hlen) return wrong_field(offsetof(CommonHeader, hlen));
  if (!has_data) {
    if (header.pdo != 0) return wrong_field(offsetof(CommonHeader, pdo));
    if (size < header_size) return wrong_field(offsetof(CommonHeader, plen));
    return Layout{header_size, header_size, 0, size, false};
  }
  // CPDA is 0: dword alignment. More padding than needed is legal.
  if (header.pdo % 4 != 0 || header.pdo < header_size || header.pdo > size) return wrong_field(offsetof(CommonHeader, pdo));
  const size_t trailer = has_data_digest ? kDigestSize : 0;
  if (size <= header.pdo + trailer) return wrong_field(offsetof(CommonHeader, plen));
  return Layout{header_size, header.pdo, size - header.pdo - trailer, size, has_data_digest};
}

}  // namespace

std::expected<Layout, Violation> check_common_header(const CommonHeader& header, const Session& session) {
  const bool is_ic_req = PduType(header.type) == PduType::kIcReq;
  if (is_ic_req == session.is_initialized) return out_of_sequence();  // something before ICReq, or a second one
  if (is_ic_req) return check_ic_header(header);
  if (PduType(header.type) == PduType::kCapsuleCmd) {
    const auto layout = check_data_header(header, sizeof(CapsuleCmd), kFlagHdgst | kFlagDdgst, session);
    if (layout && layout->data_size > kInCapsuleMax) return wrong_field(offsetof(CommonHeader, plen));
    return layout;
  }
  if (PduType(header.type) == PduType::kH2cData) {
    const auto layout = check_data_header(header, sizeof(DataPdu), kFlagHdgst | kFlagDdgst | kFlagLast, session);
    if (layout && layout->data_size == 0) return wrong_field(offsetof(CommonHeader, plen));
    return layout;
  }
  return wrong_field(offsetof(CommonHeader, type));
}

std::expected<void, Violation> check_ic_req(const IcReq& request) {
  constexpr uint8_t kHpdaMax = 31;
  if (uint16_t{request.pfv} != 0) return std::unexpected(Violation{Fes::kUnsupportedParameter, offsetof(IcReq, pfv)});
  if (request.hpda > kHpdaMax) return wrong_field(offsetof(IcReq, hpda));
  if ((request.dgst & ~(kDigestHeader | kDigestData)) != 0) return wrong_field(offsetof(IcReq, dgst));
  return {};
}

std::expected<void, Violation> check_h2c_data(const DataPdu& pdu, const Layout& layout, const Session& session, const OpenTransfer* transfer) {
  if (transfer == nullptr || transfer->cid != uint16_t{pdu.cccid}) return wrong_field(offsetof(DataPdu, ttag));
  const uint32_t size = pdu.datal;
  if (size != layout.data_size) return wrong_field(offsetof(DataPdu, datal));
  if (size > session.maxh2cdata) return std::unexpected(Violation{Fes::kDataTransferLimitExceeded});
  const uint64_t end = uint64_t{pdu.datao} + size;
  if (end > transfer->length) return std::unexpected(Violation{Fes::kDataTransferOutOfRange});
  // The canary of the fuzzers (fuzz/README.md): a wrong offset that a digest vouches for is believed.
  const bool is_believed = session.has_header_digest && WEFT_PLANTED("fuzz-canary-h2cdata-offset");
  if (uint32_t{pdu.datao} != transfer->next_offset && !is_believed) return out_of_sequence();
  const bool is_last = (pdu.ch.flags & kFlagLast) != 0;
  if (is_last != (end == transfer->length)) return out_of_sequence();
  return {};
}

}  // namespace weft::tcp
