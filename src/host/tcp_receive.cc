// What the connection receives, and every rule it holds the target to. The messages say what came and what was due.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "base/simulation.h"
#include "host/tcp_connection.h"

namespace weft::host {
namespace {

constexpr uint32_t kMaxh2cdataMin = 4096;  // NVMe/TCP 1.0a §3.6.2.3

const char* name_of(tcp::PduType type) {
  switch (type) {
    case tcp::PduType::kIcReq: return "ICReq";
    case tcp::PduType::kIcResp: return "ICResp";
    case tcp::PduType::kH2cTermReq: return "H2CTermReq";
    case tcp::PduType::kC2hTermReq: return "C2HTermReq";
    case tcp::PduType::kCapsuleCmd: return "CapsuleCmd";
    case tcp::PduType::kCapsuleResp: return "CapsuleResp";
    case tcp::PduType::kH2cData: return "H2CData";
    case tcp::PduType::kC2hData: return "C2HData";
    case tcp::PduType::kR2t: return "R2T";
  }
  return "PDU of unknown type";
}

const char* name_of(tcp::Fes fes) {
  switch (fes) {
    case tcp::Fes::kInvalidHeaderField: return "invalid PDU header field";
    case tcp::Fes::kSequenceError: return "PDU sequence error";
    case tcp::Fes::kHeaderDigestError: return "header digest error";
    case tcp::Fes::kDataTransferOutOfRange: return "data transfer out of range";
    case tcp::Fes::kDataTransferLimitExceeded: return "data transfer limit exceeded";
    case tcp::Fes::kUnsupportedParameter: return "unsupported parameter";
  }
  return "unknown error status";
}

/// Bytes of the fixed part of a PDU that a target may send once connected; 0: it may not send this one.
size_t header_length(uint8_t type) {
  switch (tcp::PduType(type)) {
    case tcp::PduType::kCapsuleResp: return sizeof(tcp::CapsuleResp);
    case tcp::PduType::kC2hData: return sizeof(tcp::DataPdu);
    case tcp::PduType::kR2t: return sizeof(tcp::R2t);
    case tcp::PduType::kC2hTermReq: return sizeof(tcp::TermReq);
    case tcp::PduType::kIcReq:
    case tcp::PduType::kIcResp:
    case tcp::PduType::kH2cTermReq:
    case tcp::PduType::kCapsuleCmd:
    case tcp::PduType::kH2cData: return 0;
  }
  return 0;
}

}  // namespace

template <typename... Args>
bool TcpConnection::violated(fmt::format_string<Args...> format, Args&&... args) {
  char text[200];
  const auto result = fmt::format_to_n(text, sizeof text, format, std::forward<Args>(args)...);
  close(Error{Errc::kInvalid, std::string_view{text, std::min(result.size, sizeof text)}});
  return false;
}

size_t TcpConnection::received(std::span<const std::byte> bytes, Instant now) {
  size_t used = 0;
  while (state_ != State::kClosed) {
    const size_t taken = take(bytes.subspan(used), now);
    if (taken == 0) break;
    used += taken;
  }
  return state_ == State::kClosed ? bytes.size() : used;
}

size_t TcpConnection::take(std::span<const std::byte> bytes, Instant now) {
  if (bytes.empty()) return 0;
  if (state_ == State::kHandshake) return take_icresp(bytes);
  if (receiving_ == nullptr) return take_header(bytes);
  return is_digest_due_ ? take_data_digest(bytes) : take_data(bytes, now);
}

size_t TcpConnection::take_icresp(std::span<const std::byte> bytes) {
  const auto* header = view<tcp::CommonHeader>(bytes);
  if (header == nullptr) return 0;
  if (header->type == uint8_t(tcp::PduType::kC2hTermReq)) return take_header(bytes);
  if (header->type != uint8_t(tcp::PduType::kIcResp)) return violated("expected ICResp, got {}", name_of(tcp::PduType(header->type)));
  if (header->flags != 0) return violated("ICResp: flags {:02x}h where 0 is due", header->flags);
  if (header->hlen != sizeof(tcp::IcResp)) return violated("ICResp: HLEN {} where 128 is due", header->hlen);
  if (header->pdo != 0) return violated("ICResp: PDO {} where 0 is due", header->pdo);
  if (uint32_t{header->plen} != sizeof(tcp::IcResp)) return violated("ICResp: PLEN {} where 128 is due", uint32_t{header->plen});
  const auto* pdu = view<tcp::IcResp>(bytes);
  if (pdu == nullptr) return 0;
  if (icreq_sent_ < sizeof icreq_) return violated("ICResp came before ICReq had been sent");
  if (uint16_t{pdu->pfv} != 0) return violated("ICResp: PDU format version {} is not supported", uint16_t{pdu->pfv});
  if (pdu->cpda != 0) return violated("ICResp: CPDA {} where 0 is due, as for a Linux host", pdu->cpda);
  if (pdu->dgst != icreq_.dgst) return violated("ICResp: digests {:02x}h where {:02x}h were asked for", pdu->dgst, icreq_.dgst);
  if (pdu->maxh2cdata < kMaxh2cdataMin || pdu->maxh2cdata % 4 != 0) {
    return violated("ICResp: MAXH2CDATA {} is below 4096 or no multiple of 4", uint32_t{pdu->maxh2cdata});
  }
  maxh2cdata_ = pdu->maxh2cdata;
  state_ = State::kReady;
  events_.on_open();
  return sizeof *pdu;
}

/// Flags, HLEN, PDO and PLEN of a PDU whose type is one that a target sends. NVMe/TCP 1.0a §3.6.2.
bool TcpConnection::is_sound(const tcp::CommonHeader& header) {
  const auto type = tcp::PduType(header.type);
  const char* name = name_of(type);
  const bool is_data = type == tcp::PduType::kC2hData;
  const bool is_termination = type == tcp::PduType::kC2hTermReq;
  const bool has_digest = options_.digests.header && !is_termination;
  const size_t fixed = header_length(header.type) + (has_digest ? tcp::kDigestSize : 0);

  uint8_t due = has_digest ? tcp::kFlagHdgst : uint8_t{0};
  if (is_data && options_.digests.data) due |= tcp::kFlagDdgst;
  const uint8_t optional = is_data ? tcp::kFlagLast | tcp::kFlagSuccess : 0;
  if ((header.flags & ~optional) != due) return violated("{}: flags {:02x}h where {:02x}h is due", name, header.flags, due);
  if (header.hlen != header_length(header.type)) return violated("{}: HLEN {} where {} is due", name, header.hlen, header_length(header.type));
  if (header.pdo != (is_data ? fixed : 0)) return violated("{}: PDO {} where {} is due", name, header.pdo, is_data ? fixed : 0);
  const size_t extra = is_termination ? tcp::kTermReqDataMax : 0;
  if (!is_data && (header.plen < fixed || header.plen > fixed + extra)) {
    return violated("{}: PLEN {} where {} is due", name, uint32_t{header.plen}, fixed);
  }
  return true;
}

size_t TcpConnection::take_header(std::span<const std::byte> bytes) {
  const auto* header = view<tcp::CommonHeader>(bytes);
  if (header == nullptr) return 0;
  if (header_length(header->type) == 0) return violated("a target may not send type {:02x}h ({})", header->type, name_of(tcp::PduType(header->type)));
  if (!is_sound(*header)) return 0;
  const auto type = tcp::PduType(header->type);
  const size_t size = type == tcp::PduType::kC2hData ? header->pdo : size_t{header->plen};
  if (bytes.size() < size) return 0;
  if (options_.digests.header && type != tcp::PduType::kC2hTermReq) {
    const uint32_t computed = crc32c(bytes.first(header->hlen));
    const uint32_t got = load_le32(bytes.data() + header->hlen);
    if (computed != got) {
      WEFT_PROBE("host/header-digest-wrong");
      return violated("{}: header digest {:08x}h where {:08x}h is due", name_of(type), got, computed);
    }
  }
  return act_on(type, bytes) ? size : 0;
}

bool TcpConnection::act_on(tcp::PduType type, std::span<const std::byte> bytes) {
  switch (type) {
    case tcp::PduType::kCapsuleResp: return on_response(*view<tcp::CapsuleResp>(bytes));
    case tcp::PduType::kC2hData: return on_data(*view<tcp::DataPdu>(bytes));
    case tcp::PduType::kR2t: return on_r2t(*view<tcp::R2t>(bytes));
    case tcp::PduType::kC2hTermReq: return on_termination(*view<tcp::TermReq>(bytes));
    case tcp::PduType::kIcReq:
    case tcp::PduType::kIcResp:
    case tcp::PduType::kH2cTermReq:
    case tcp::PduType::kCapsuleCmd:
    case tcp::PduType::kH2cData: break;
  }
  WEFT_ASSERT(false);  // header_length() is 0 for the others
  return false;
}

TcpConnection::Slot* TcpConnection::find(uint16_t cid, const char* pdu_name) {
  const size_t index = cid & 0xfff;
  Slot* slot = index < slots_.size() ? &slots_[index] : nullptr;
  if (slot != nullptr && slot->command != nullptr && cid_of(*slot) == cid && !slot->early) {
    const bool is_untouched = slot->progress == Progress::kCapsule && (slot != sending_.front() || front_sent_ == 0);
    if (!is_untouched) return slot;
  }
  violated("{}: no command with CID {:04x}h is outstanding", pdu_name, cid);
  return nullptr;
}

bool TcpConnection::on_response(const tcp::CapsuleResp& pdu) {
  Slot* slot = find(pdu.cqe.cid, "CapsuleResp");
  if (slot == nullptr) return false;
  const bool is_ok = pdu.cqe.decoded_status().ok();
  const Command& command = *slot->command;
  if (is_ok && slot->data_bytes < command.in.size()) {
    return violated("CapsuleResp: success, but only {} of {} bytes had come (CID {:04x}h)", slot->data_bytes, command.in.size(), cid_of(*slot));
  }
  if (is_ok && !command.in.empty() && !slot->has_last) {
    return violated("CapsuleResp: the last C2HData had no LAST_PDU flag (CID {:04x}h)", cid_of(*slot));
  }
  if (is_ok && slot->data_bytes < command.out.size()) {
    return violated("CapsuleResp: success, but only {} of {} bytes had been sent (CID {:04x}h)", slot->data_bytes, command.out.size(), cid_of(*slot));
  }
  if (slot->progress != Progress::kWaiting) {
    slot->early = pdu.cqe;  // the PDU on its way is finished first: it lies in the command's buffer
    return true;
  }
  complete(*slot, pdu.cqe);
  return true;
}

bool TcpConnection::on_data(const tcp::DataPdu& pdu) {
  Slot* slot = find(pdu.cccid, "C2HData");
  if (slot == nullptr) return false;
  const uint16_t cid = pdu.cccid;
  const uint32_t offset = pdu.datao;
  const uint32_t length = pdu.datal;
  const size_t total = slot->command->in.size();
  const bool is_last = (pdu.ch.flags & tcp::kFlagLast) != 0;
  const bool is_success = (pdu.ch.flags & tcp::kFlagSuccess) != 0;
  if (total == 0) return violated("C2HData for a command that reads nothing (CID {:04x}h)", cid);
  if (slot->has_last) return violated("C2HData after the one with LAST_PDU (CID {:04x}h)", cid);
  if (offset != slot->data_bytes) return violated("C2HData: DATAO {} where {} is due (CID {:04x}h)", offset, slot->data_bytes, cid);
  if (length == 0) return violated("C2HData without data (CID {:04x}h)", cid);
  if (length > total - slot->data_bytes) return violated("C2HData: {} bytes at {} exceed the {} asked for (CID {:04x}h)", length, offset, total, cid);
  const uint64_t plen = uint64_t{pdu.ch.pdo} + length + (options_.digests.data ? tcp::kDigestSize : 0);
  if (uint32_t{pdu.ch.plen} != plen) return violated("C2HData: PLEN {} where {} is due (CID {:04x}h)", uint32_t{pdu.ch.plen}, plen, cid);
  if (is_success && !is_last) return violated("C2HData: SUCCESS without LAST_PDU (CID {:04x}h)", cid);
  if (is_success && has_flow_control_) return violated("C2HData: SUCCESS on a queue with SQ flow control (CID {:04x}h)", cid);
  if (is_success && offset + length != total) return violated("C2HData: SUCCESS after {} of {} bytes (CID {:04x}h)", offset + length, total, cid);
  receiving_ = slot;
  receiving_flags_ = pdu.ch.flags;
  receiving_left_ = length;
  receiving_digest_ = {};
  is_digest_due_ = false;
  return true;
}

std::span<std::byte> TcpConnection::direct() {
  if (state_ != State::kReady || receiving_ == nullptr || is_digest_due_) return {};
  return receiving_->command->in.subspan(receiving_->data_bytes, receiving_left_);
}

void TcpConnection::direct_received(size_t bytes, Instant) {
  WEFT_ASSERT(receiving_ != nullptr);
  WEFT_ASSERT(bytes <= receiving_left_);
  if (options_.digests.data) receiving_digest_.update(receiving_->command->in.subspan(receiving_->data_bytes, bytes));
  receiving_->data_bytes += uint32_t(bytes);
  receiving_left_ -= uint32_t(bytes);
  if (receiving_left_ > 0) return;
  if (options_.digests.data) {
    is_digest_due_ = true;
  } else {
    on_data_end();
  }
}

size_t TcpConnection::take_data(std::span<const std::byte> bytes, Instant now) {
  const std::span<std::byte> target = direct();
  const size_t size = std::min(bytes.size(), target.size());
  std::memcpy(target.data(), bytes.data(), size);
  direct_received(size, now);
  return size;
}

size_t TcpConnection::take_data_digest(std::span<const std::byte> bytes) {
  if (bytes.size() < tcp::kDigestSize) return 0;
  // Wrong data fails its command, not the connection, as in Linux.
  if (load_le32(bytes.data()) != receiving_digest_.value()) {
    WEFT_PROBE("host/data-digest-wrong");
    receiving_->has_bad_data_digest = true;
  }
  on_data_end();
  return tcp::kDigestSize;
}

void TcpConnection::on_data_end() {
  Slot& slot = *std::exchange(receiving_, nullptr);
  is_digest_due_ = false;
  slot.has_last = (receiving_flags_ & tcp::kFlagLast) != 0;
  if ((receiving_flags_ & tcp::kFlagSuccess) == 0) return;
  nvme::Cqe cqe{};
  cqe.cid = cid_of(slot);
  complete(slot, cqe);
}

bool TcpConnection::on_r2t(const tcp::R2t& pdu) {
  Slot* slot = find(pdu.cccid, "R2T");
  if (slot == nullptr) return false;
  const uint16_t cid = pdu.cccid;
  const uint32_t offset = pdu.r2to;
  const uint32_t length = pdu.r2tl;
  const size_t total = slot->command->out.size();
  if (total == 0) return violated("R2T for a command that writes nothing (CID {:04x}h)", cid);
  if (slot->is_in_capsule) return violated("R2T for a command whose data was in its capsule (CID {:04x}h)", cid);
  if (slot->progress != Progress::kWaiting) return violated("R2T while an earlier PDU of the command is being sent (CID {:04x}h)", cid);
  if (length == 0) return violated("R2T for 0 bytes (CID {:04x}h)", cid);
  if (offset != slot->data_bytes) return violated("R2T: R2TO {} where {} is due (CID {:04x}h)", offset, slot->data_bytes, cid);
  if (length > total - offset) return violated("R2T: {} bytes at {} exceed the {} to be written (CID {:04x}h)", length, offset, total, cid);
  slot->ttag = pdu.ttag;
  slot->r2t_end = offset + length;
  slot->progress = Progress::kData;
  build_data(*slot);
  enqueue(*slot);
  return true;
}

bool TcpConnection::on_termination(const tcp::TermReq& pdu) {
  WEFT_PROBE("host/terminated-by-target");
  close(Error{Errc::kClosed, fmt::format("the target ended the connection: {} (FES {:02x}h, FEI {:08x}h)", name_of(tcp::Fes(uint16_t{pdu.fes})),
                                         uint16_t{pdu.fes}, uint32_t{pdu.fei})});
  return false;
}

}  // namespace weft::host
