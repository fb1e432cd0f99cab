#include "sim/checkers/wire_monitor.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

namespace weft::sim {
namespace {

using tcp::PduType;

/// When all bytes were received for so long, nothing had kept the next ones waiting: the sender is told of room sooner.
constexpr Duration kRoomIsKnown = milliseconds(250);

constexpr uint32_t kMaxh2cdataMin = 4096;  // NVMe/TCP 1.0a §3.6.2.3
constexpr uint8_t kAlignmentMax = 31;      // HPDA and CPDA, dwords, 0-based

const char* name_of(Side side) { return side == Side::kHost ? "host" : "target"; }

template <size_t kSize>
bool is_zero(const std::array<std::byte, kSize>& bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

bool is_init(PduType type) { return type == PduType::kIcReq || type == PduType::kIcResp; }
bool is_termination(PduType type) { return type == PduType::kH2cTermReq || type == PduType::kC2hTermReq; }

}  // namespace

void WireMonitor::report(Side side, std::string_view what) {
  is_over_ = true;
  if (side == Side::kHost && !queue_.is_host_trusted) return;
  referee_.fail("wire", fmt::format("{}: the {}: {}", queue_.name, name_of(side), what));
}

// --- bytes to PDUs --------------------------------------------------------------------------------------------------

void WireMonitor::on_sent(Side from, std::span<const std::byte> bytes, Instant now) {
  if (is_over_ || bytes.empty()) return;
  End& here = end(from);
  if (here.has_finished || here.has_closed) {
    broken(from, "sends bytes after it has closed");
    return;
  }
  was_idle_ = here.lane.in_flight() == 0 && now - here.drained_at >= kRoomIsKnown;
  here.lane.append(bytes);
  while (!is_over_ && step(from, now)) {
  }
  if (from == Side::kTarget) events_.on_backlog(queue_, true);
}

bool WireMonitor::step(Side from, Instant now) {
  WireLane& lane = end(from).lane;
  const auto bytes = lane.in_progress();
  switch (lane.stage()) {
    case WireLane::Stage::kCommonHeader:
      return bytes.size() >= sizeof(tcp::CommonHeader) && on_common_header(from, bytes);
    case WireLane::Stage::kHeader:
      return bytes.size() >= lane.frame().header_size && on_header(from, bytes, now);
    case WireLane::Stage::kData:
      return bytes.size() >= lane.frame().size && on_whole(from, bytes);
  }
  return false;
}

bool WireMonitor::on_common_header(Side from, std::span<const std::byte> bytes) {
  const auto& header = *view<tcp::CommonHeader>(bytes);
  if (end(from).has_terminated) return broken(from, "{} after its termination request", name_of_pdu(header.type));
  const auto frame = frame_of(from, header, session_);
  if (!frame) return broken(from, "{}", frame.error());
  if (!is_in_order(from, frame->type)) return false;
  end(from).lane.open(*frame);
  return true;
}

/// ICReq, ICResp, then everything else. §3.2.
bool WireMonitor::is_in_order(Side from, PduType type) {
  const End& here = end(from);
  if (is_init(type)) {
    if (here.has_sent_init) return broken(from, "a second {}", name_of_pdu(uint8_t(type)));
    if (from == Side::kTarget && !here.has_peer_init) return broken(from, "ICResp before it has received ICReq");
    return true;
  }
  if (is_termination(type)) return true;
  if (!here.has_sent_init) return broken(from, "{} before ICReq and ICResp", name_of_pdu(uint8_t(type)));
  if (!here.has_peer_init && from == Side::kHost) {
    return broken(from, "{} before it has received ICResp", name_of_pdu(uint8_t(type)));
  }
  return true;
}

bool WireMonitor::on_header(Side from, std::span<const std::byte> bytes, Instant now) {
  WireLane& lane = end(from).lane;
  const WireFrame frame = lane.frame();
  const auto header = bytes.first(frame.hlen);
  if (frame.has_header_digest) {
    const uint32_t digest = load_le32(bytes.data() + frame.hlen);
    if (digest != crc32c(header)) {
      return broken(from, "{}: header digest {:08x}h, due is {:08x}h", name_of_pdu(uint8_t(frame.type)), digest,
                    crc32c(header));
    }
  }
  lane.header_done();
  return judge(from, frame, header, now);
}

bool WireMonitor::on_whole(Side from, std::span<const std::byte> bytes) {
  End& here = end(from);
  const WireFrame& frame = here.lane.frame();
  if (frame.has_data_digest) {
    const uint32_t digest = load_le32(bytes.data() + frame.data_offset + frame.data_size);
    const uint32_t due = crc32c(bytes.subspan(frame.data_offset, frame.data_size));
    if (digest != due) {
      return broken(from, "{}: data digest {:08x}h, due is {:08x}h", name_of_pdu(uint8_t(frame.type)), digest, due);
    }
  }
  if (is_termination(frame.type) && !is_echo_right(from, frame, bytes)) return false;
  if (is_init(frame.type)) here.has_init_left = true;
  here.lane.close_pdu();
  return true;
}

bool WireMonitor::judge(Side from, const WireFrame& frame, std::span<const std::byte> header, Instant now) {
  switch (frame.type) {
    case PduType::kIcReq:
      return on_ic_req(*view<tcp::IcReq>(header));
    case PduType::kIcResp:
      return on_ic_resp(*view<tcp::IcResp>(header), now);
    case PduType::kH2cTermReq:
    case PduType::kC2hTermReq:
      return on_termination(from, *view<tcp::TermReq>(header));
    case PduType::kCapsuleCmd:
      return on_capsule(view<tcp::CapsuleCmd>(header)->sqe, frame, now);
    case PduType::kCapsuleResp:
      return on_response(view<tcp::CapsuleResp>(header)->cqe, now);
    case PduType::kH2cData:
      return on_h2c_data(*view<tcp::DataPdu>(header), frame);
    case PduType::kC2hData:
      return on_c2h_data(*view<tcp::DataPdu>(header), frame, now);
    case PduType::kR2t:
      return on_r2t(*view<tcp::R2t>(header), now);
  }
  return true;
}

void WireMonitor::on_received(Side by, std::span<const std::byte> bytes, Instant now) {
  if (is_over_ || bytes.empty()) return;
  End& there = end(other(by));
  there.lane.receive(bytes, [&](const WireArrival& arrival) { arrived(by, arrival, now); });
  if (there.lane.in_flight() > 0) return;
  there.drained_at = now;
  if (by == Side::kHost) events_.on_backlog(queue_, false);
}

void WireMonitor::arrived(Side by, const WireArrival& arrival, Instant now) {
  switch (arrival.frame.type) {
    case PduType::kIcReq:
    case PduType::kIcResp:
      end(by).has_peer_init = true;
      return;
    case PduType::kH2cTermReq:
    case PduType::kC2hTermReq:
      return;
    case PduType::kCapsuleCmd:
      return capsule_arrived(arrival, now);
    case PduType::kH2cData:
      return h2c_data_arrived(arrival);
    case PduType::kR2t:
      return r2t_arrived(*view<tcp::R2t>(arrival.bytes));
    case PduType::kCapsuleResp:
      ledger_.commands.erase(view<tcp::CapsuleResp>(arrival.bytes)->cqe.cid);
      return;
    case PduType::kC2hData:
      if ((arrival.frame.flags & tcp::kFlagSuccess) != 0)
        ledger_.commands.erase(view<tcp::DataPdu>(arrival.bytes)->cccid);
      return;
  }
}

// --- the handshake and the end --------------------------------------------------------------------------------------

bool WireMonitor::on_ic_req(const tcp::IcReq& pdu) {
  constexpr Side kBy = Side::kHost;
  if (uint16_t{pdu.pfv} != 0) return broken(kBy, "ICReq: PFV {}", uint16_t{pdu.pfv});
  if (pdu.hpda > kAlignmentMax) return broken(kBy, "ICReq: HPDA {}", pdu.hpda);
  if ((pdu.dgst & ~(tcp::kDigestHeader | tcp::kDigestData)) != 0) return broken(kBy, "ICReq: DGST {:02x}h", pdu.dgst);
  if (!is_zero(pdu.reserved)) return broken(kBy, "ICReq: reserved bytes are not zero");
  end(kBy).has_sent_init = true;
  dgst_asked_ = pdu.dgst;
  session_.target_alignment = (pdu.hpda + 1u) * 4;
  session_.maxr2t = uint32_t(std::min<uint64_t>(uint64_t{uint32_t{pdu.maxr2t}} + 1, UINT32_MAX));
  return true;
}

bool WireMonitor::on_ic_resp(const tcp::IcResp& pdu, Instant now) {
  constexpr Side kBy = Side::kTarget;
  if (uint16_t{pdu.pfv} != 0) return broken(kBy, "ICResp: PFV {}", uint16_t{pdu.pfv});
  if (pdu.cpda > kAlignmentMax) return broken(kBy, "ICResp: CPDA {}", pdu.cpda);
  if ((pdu.dgst & ~dgst_asked_) != 0)
    return broken(kBy, "ICResp: DGST {:02x}h, asked for was {:02x}h", pdu.dgst, dgst_asked_);
  if (pdu.maxh2cdata < kMaxh2cdataMin || pdu.maxh2cdata % 4 != 0) {
    return broken(kBy, "ICResp: MAXH2CDATA {}", uint32_t{pdu.maxh2cdata});
  }
  if (!is_zero(pdu.reserved)) return broken(kBy, "ICResp: reserved bytes are not zero");
  end(kBy).has_sent_init = true;
  session_.has_header_digest = (pdu.dgst & tcp::kDigestHeader) != 0;
  session_.has_data_digest = (pdu.dgst & tcp::kDigestData) != 0;
  session_.host_alignment = (pdu.cpda + 1u) * 4;
  session_.maxh2cdata = pdu.maxh2cdata;
  events_.on_initialized(queue_, pdu.maxh2cdata, now);
  return true;
}

/// Each side's findings come before the other side's termination, so what is left to terminate for are spoiled bytes.
bool WireMonitor::on_termination(Side from, const tcp::TermReq& pdu) {
  end(from).has_terminated = true;
  const uint16_t fes = pdu.fes;
  const uint32_t fei = pdu.fei;
  if (fes < uint16_t(tcp::Fes::kInvalidHeaderField) || fes > uint16_t(tcp::Fes::kUnsupportedParameter)) {
    return broken(from, "termination request: FES {:04x}h is not assigned", fes);
  }
  const auto cause = tcp::Fes(fes);
  const bool is_offset = cause == tcp::Fes::kInvalidHeaderField || cause == tcp::Fes::kUnsupportedParameter;
  if (is_offset && fei >= sizeof(tcp::IcReq))
    return broken(from, "termination request: FEI {} is no offset in a header", fei);
  if (!is_offset && cause != tcp::Fes::kHeaderDigestError && fei != 0) {
    return broken(from, "termination request: FES {} with FEI {}", fes, fei);
  }
  if (!is_zero(pdu.reserved)) return broken(from, "termination request: reserved bytes are not zero");
  const WireLane& incoming = end(other(from)).lane;
  if (!incoming.has_spoiled_header() && !incoming.has_spoiled_data()) {
    return broken(from, "ends the connection with FES {} FEI {}, but all that it has received was right", fes, fei);
  }
  return true;
}

bool WireMonitor::is_echo_right(Side from, const WireFrame& frame, std::span<const std::byte> bytes) {
  const WireLane& incoming = end(other(from)).lane;
  if (!incoming.has_spoiled_header()) return true;  // ended for data: any of the PDUs with it
  const auto echo = bytes.subspan(frame.data_offset, frame.data_size);
  const auto head = incoming.spoiled_head();
  const bool is_front = echo.size() <= head.size() && std::ranges::equal(echo, head.first(echo.size()));
  return is_front || broken(from, "termination request: its data is not the front of the wrong PDU");
}

void WireMonitor::on_finished(Side by, Instant) { end(by).has_finished = true; }

void WireMonitor::on_closed(Side by, Instant now) {
  end(by).has_closed = true;
  events_.on_closed(queue_, by, now);
}

bool WireMonitor::is_under_digests(Side from) const {
  if (!session_.has_header_digest || !session_.has_data_digest) return false;
  return from == Side::kTarget ? end(from).has_init_left : end(from).has_peer_init;
}

}  // namespace weft::sim
