// PDUs in. NVMe/TCP Transport 1.0a §3.6; what is wrong with a PDU is decided in pdu_rules.cc.
#include <algorithm>
#include <cstring>
#include <new>

#include "base/bytes.h"
#include "base/simulation.h"
#include "transport/tcp/connection.h"
#include "transport/tcp/sgl.h"

namespace weft::tcp {

std::span<std::byte> Connection::direct() {
  if (phase_ != Phase::kPayload) return {};
  return incoming_->data.subspan(transfer_of(*incoming_).next_offset, payload_left_);
}

void Connection::direct_received(size_t bytes, Instant) { payload_landed(direct().first(bytes)); }

Connection::Transfer& Connection::transfer_of(nvmf::Command& command) {
  return *std::launder(reinterpret_cast<Transfer*>(command.io.scratch));
}

[[gnu::always_inline]] inline size_t Connection::receive_capsule(std::span<const std::byte> pdu, const Layout& layout) {
  if (!takes_commands_) return layout.size;
  const auto& capsule = reinterpret_cast<const CapsuleCmd&>(*pdu.data());  // the layout says that it is there
  nvmf::Command* command = stalled_ == nullptr ? queue_.begin(capsule.sqe) : std::exchange(stalled_, nullptr);
  if (command == nullptr) {  // more outstanding than the queue holds
    terminate({Fes::kSequenceError}, bytes_of(capsule));
    return 0;
  }
  const uint32_t size_max = layout.data_size > 0 ? queue_.in_capsule_max(capsule.sqe) : 0;
  auto descriptor = describe_data(capsule.sqe.sgl, {layout.data_size, size_max});
  auto data = pdu.subspan(layout.data_offset, layout.data_size);
  if (layout.has_data_digest && descriptor.error.ok() && !is_data_digest_right(data)) {
    WEFT_PROBE("tcp/capsule-digest-wrong");
    descriptor.error = nvme::status::kTransientTransportError;  // the connection lives, §3.3.1.2
    descriptor.kind = nvmf::DataDescriptor::Kind::kNone;
  }
  if (descriptor.kind != nvmf::DataDescriptor::Kind::kInCapsule) data = {};
  if (queue_.submit(*command, descriptor, data) == nvmf::Submitted::kStalled) {
    stalled_ = command;
    is_paused_ = true;
    return 0;
  }
  return layout.size;
}

template <WireStruct T>
inline bool Connection::is_header_digest_right(std::span<const std::byte> header) {
  const uint32_t digest = load_le32(header.data() + sizeof(T));
  if (digest == crc32c_of(reinterpret_cast<const T&>(*header.data())) || WEFT_PLANTED("header-digest-unchecked")) [[likely]] return true;
  WEFT_PROBE("tcp/header-digest-wrong");
  terminate({Fes::kHeaderDigestError, digest}, header.first<sizeof(T)>());
  return false;
}

[[gnu::always_inline]] inline size_t Connection::receive_pdu(std::span<const std::byte> bytes) {
  const auto* common = view<CommonHeader>(bytes);
  if (common == nullptr) return receive_unusual_pdu(bytes);
  const auto plain = plain_capsule(*common, session_);
  if (!plain || bytes.size() < plain->size) return receive_unusual_pdu(bytes);
  if (session_.has_header_digest && !is_header_digest_right<CapsuleCmd>(bytes)) return 0;
  return receive_capsule(bytes.first(plain->size), *plain);
}

[[gnu::always_inline]] inline size_t Connection::receive_some(std::span<const std::byte> bytes) {
  switch (phase_) {
    [[likely]] case Phase::kPdu: return receive_pdu(bytes);
    case Phase::kIcReq: return receive_unusual_pdu(bytes);
    case Phase::kPayload: return receive_payload(bytes);
    case Phase::kPayloadDigest: return receive_payload_digest(bytes);
  }
  return 0;
}

size_t Connection::received(std::span<const std::byte> bytes, Instant) {
  received_bytes_ = bytes.size();
  auto rest = bytes;
  while (!rest.empty() && wish_ == net::Wish::kStay) {
    const size_t step = receive_some(rest);
    if (step == 0) break;
    rest = rest.subspan(step);
  }
  return wish_ == net::Wish::kStay ? bytes.size() - rest.size() : bytes.size();
}

size_t Connection::receive_unusual_pdu(std::span<const std::byte> bytes) {
  const auto* header = view<CommonHeader>(bytes);
  if (header == nullptr) {
    WEFT_PROBE("tcp/common-header-in-parts");
    return 0;
  }
  const CommonHeader& common = *header;
  if (PduType(common.type) == PduType::kH2cTermReq) {  // whatever it says: the peer has ended, nothing is answered
    WEFT_PROBE("tcp/peer-terminates");
    shared_.counters.peer_terminations.add(1);
    const auto* request = view<TermReq>(bytes);  // may not have come as a whole
    tell(EventLog::Kind::kTermination, "the peer ends the connection, FES {} FEI {:x}h", request ? uint16_t{request->fes} : 0,
         request ? uint32_t{request->fei} : 0);
    wish_for(net::Wish::kClose);
    return 0;
  }
  const auto layout = check_common_header(common, session_);
  if (!layout) {
    terminate(layout.error(), bytes_of(common));
    return 0;
  }
  if (bytes.size() < layout->header_size) {
    WEFT_PROBE("tcp/header-in-parts");
    return 0;
  }
  const bool has_digest = layout->header_size > common.hlen;
  if (PduType(common.type) == PduType::kH2cData) {
    return !has_digest || is_header_digest_right<DataPdu>(bytes) ? receive_h2c_data(bytes, *layout) : 0;
  }
  if (has_digest && !is_header_digest_right<CapsuleCmd>(bytes)) return 0;
  if (bytes.size() < layout->size) {
    WEFT_PROBE("tcp/capsule-in-parts");
    return 0;
  }
  const auto pdu = bytes.first(layout->size);
  return PduType(common.type) == PduType::kIcReq ? receive_ic_req(pdu, *layout) : receive_capsule(pdu, *layout);
}

size_t Connection::receive_ic_req(std::span<const std::byte> pdu, const Layout& layout) {
  const auto& request = *view<IcReq>(pdu);
  if (const auto checked = check_ic_req(request); !checked) {
    terminate(checked.error(), pdu);
    return 0;
  }
  session_.agree(request.dgst, request.hpda);
  // Lent memory could change between the digest and the send, so it is copied with the digest, and that only as far as the send queue has room.
  if (session_.has_data_digest) queue_.lend_at_most(SendQueue::kStagedMax);
  append_ic_resp(request.dgst);
  phase_ = Phase::kPdu;
  return layout.size;
}

bool Connection::is_data_digest_right(std::span<const std::byte> data) {
  if (crc32c(data) == load_le32(data.data() + data.size()) || WEFT_PLANTED("data-digest-unchecked")) return true;
  shared_.counters.digest_errors.add(1);
  return false;
}

size_t Connection::receive_h2c_data(std::span<const std::byte> pdu, const Layout& layout) {
  if (pdu.size() < layout.data_offset) return 0;
  const auto& header = *view<DataPdu>(pdu);
  nvmf::Command* command = queue_.find_receiving(header.ttag);
  std::optional<OpenTransfer> open;
  if (command != nullptr) open = OpenTransfer{command->cid(), command->transfer_length, transfer_of(*command).next_offset};
  if (const auto checked = check_h2c_data(header, layout, session_, open ? &*open : nullptr); !checked) {
    terminate(checked.error(), bytes_of(header));
    return 0;
  }
  incoming_ = command;
  payload_left_ = uint32_t(layout.data_size);
  has_payload_digest_ = layout.has_data_digest;
  is_payload_last_ = (header.ch.flags & kFlagLast) != 0;
  payload_digest_ = {};
  phase_ = Phase::kPayload;
  return layout.data_offset;
}

size_t Connection::receive_payload(std::span<const std::byte> bytes) {
  const auto target = direct().first(std::min<size_t>(bytes.size(), payload_left_));
  std::memcpy(target.data(), bytes.data(), target.size());
  payload_landed(target);
  return target.size();
}

/// `bytes` is the front of what direct() gave.
void Connection::payload_landed(std::span<const std::byte> bytes) {
  if (WEFT_PLANTED("keep-alive-fed-by-data")) queue_.heard();
  if (has_payload_digest_) payload_digest_.update(bytes);
  transfer_of(*incoming_).next_offset += uint32_t(bytes.size());
  payload_left_ -= uint32_t(bytes.size());
  if (payload_left_ > 0) return;
  if (has_payload_digest_) {
    phase_ = Phase::kPayloadDigest;
  } else {
    payload_complete();
  }
}

size_t Connection::receive_payload_digest(std::span<const std::byte> bytes) {
  if (bytes.size() < kDigestSize) {
    WEFT_PROBE("tcp/data-digest-in-parts");
    return 0;
  }
  if (load_le32(bytes.data()) != payload_digest_.value() && !WEFT_PLANTED("data-digest-unchecked")) {
    shared_.counters.digest_errors.add(1);
    WEFT_PROBE("tcp/data-digest-wrong");
    transfer_of(*incoming_).is_digest_wrong = true;
  }
  payload_complete();
  return kDigestSize;
}

void Connection::payload_complete() {
  phase_ = Phase::kPdu;
  nvmf::Command& command = *std::exchange(incoming_, nullptr);
  if (!is_payload_last_ && !WEFT_PLANTED("write-done-at-first-data")) return;
  WEFT_ASSERT(!is_payload_last_ || transfer_of(command).next_offset == command.transfer_length);
  const bool is_digest_wrong = transfer_of(command).is_digest_wrong;
  command.link.unlink();
  queue_.received(command, is_digest_wrong ? nvme::status::kTransientTransportError : nvme::status::kSuccess);
}

void Connection::terminate(Violation violation, std::span<const std::byte> header) {
  WEFT_PROBE("tcp/peer-is-terminated");
  shared_.counters.violations.add(1);
  tell(EventLog::Kind::kViolation, "wrong PDU of type {:02x}h, FES {} FEI {:x}h; the connection ends", uint8_t(header[0]),
       uint16_t(violation.fes), violation.fei);
  append_termination(violation, header);
  termination_deadline_ = reactor().now() + limit_ms(&Limits::termination_ms);
  wish_for(net::Wish::kFinish);
}

}  // namespace weft::tcp
