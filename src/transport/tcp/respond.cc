// PDUs out. NVMe/TCP Transport 1.0a §3.6. Each is appended to the send queue when its command is done; the pump sends once per cycle.
#include <algorithm>
#include <cstring>
#include <new>

#include "base/bytes.h"
#include "base/simulation.h"
#include "transport/tcp/connection.h"

namespace weft::tcp {
namespace {

CommonHeader common_header(PduType type, uint8_t flags, size_t hlen, size_t plen) {
  return {.type = uint8_t(type), .flags = flags, .hlen = uint8_t(hlen), .pdo = 0, .plen = uint32_t(plen)};
}

}  // namespace

/// `header`, its digest if there are any, and zeroes up to `size`.
template <WireStruct T>
inline void Connection::append_header(const T& header, size_t size) {
  const auto room = send_queue_.append(size);
  finish_header(*new (room.data()) T{header}, room);
}

template <WireStruct T>
inline void Connection::finish_header(const T& header, std::span<std::byte> room) {
  size_t end = sizeof(T);
  if (room.size() == end) [[likely]] return;
  if (session_.has_header_digest) {
    store_le32(room.data() + end, crc32c_of(header));
    end += kDigestSize;
  }
  if (room.size() > end) std::ranges::fill(room.subspan(end), std::byte{0});
}

inline void Connection::announce() {
  if (is_announced_) return;
  is_announced_ = true;
  outlet_->wants_send();
}

[[gnu::always_inline]] inline void Connection::append_c2h_data(const nvmf::Command& command, uint8_t flags, nvmf::Command* done) {
  const auto data = command.response_data;
  WEFT_SUSPECT(data.size() == command.transfer_length);
  if (WEFT_PLANTED("c2h-last-missing")) flags &= uint8_t(~kFlagLast);
  const auto kind = command.buffer.empty() ? DataKind::kLent : DataKind::kStable;
  const size_t size = session_.c2h_header.pdo;
  const auto room = session_.has_data_digest ? append_data_with_digest(command, size, done) : send_queue_.append(size, data, kind, done);
  auto& pdu = *new (room.data()) DataPdu{.ch = session_.c2h_header, .cccid = command.cid(), .ttag = {}, .datao = {}, .datal = {}, .reserved = {}};
  pdu.ch.flags |= flags;
  pdu.ch.plen = pdu.ch.plen + uint32_t(data.size());
  pdu.datal = uint32_t(data.size());
  finish_header(pdu, room);
}

std::span<std::byte> Connection::append_data_with_digest(const nvmf::Command& command, size_t header_size, nvmf::Command* done) {
  const auto data = command.response_data;
  if (command.buffer.empty()) return send_queue_.append(header_size, data, DataKind::kLentWithDigest, done);
  const auto room = send_queue_.append(header_size, data, DataKind::kStable, done);
  store_le32(send_queue_.append(kDigestSize).data(), crc32c(data));
  return room;
}

inline void Connection::append_capsule_resp(const nvme::Cqe& cqe) {
  const size_t size = sizeof(CapsuleResp) + (session_.has_header_digest ? kDigestSize : 0);
  const uint8_t flags = session_.has_header_digest ? kFlagHdgst : 0;
  append_header(CapsuleResp{common_header(PduType::kCapsuleResp, flags, sizeof(CapsuleResp), size), cqe}, size);
}

void Connection::respond(nvmf::Command& command) {
  announce();
  // The host makes up the completion itself: possible when nothing of it would say anything. §3.6.2.7.
  const bool says_nothing = command.status == nvme::status::kSuccess && command.result == 0;
  const bool may_elide = queue_.is_sq_flow_control_disabled() || WEFT_PLANTED("success-flag-with-flow-control");
  if (says_nothing && !command.response_data.empty() && may_elide && wish_ == net::Wish::kStay) {
    append_c2h_data(command, kFlagLast | kFlagSuccess, &command);
    if (WEFT_PLANTED("response-after-success-flag")) append_capsule_resp(queue_.make_cqe(command));
    return;
  }
  respond_with_capsule(command);
}

void Connection::respond_with_capsule(nvmf::Command& command) {
  if (!command.status.ok()) tell_breach(command);
  if (wish_ != net::Wish::kStay && (has_terminated() || wish_ != net::Wish::kCloseSent)) {
    WEFT_PROBE("tcp/response-after-termination");  // that was the last thing that we have said
    return send_queue_.mark(command);
  }
  const bool has_data = command.status.ok() && !command.response_data.empty();
  if (has_data) append_c2h_data(command, kFlagLast, nullptr);
  const nvme::Cqe cqe = queue_.make_cqe(command);
  append_capsule_resp(cqe);
  if (WEFT_PLANTED("completion-twice")) append_capsule_resp(cqe);
  send_queue_.mark(command);
}

void Connection::tell_breach(const nvmf::Command& command) {
  if (!transport::is_breach(command.status)) return;
  tell(EventLog::Kind::kBreach, "command {:02x}h with CID {} on queue {}: {}", command.sqe.opcode, command.cid(), queue_.qid(),
       nvme::name_of(command.status));
}

void Connection::start_receive(nvmf::Command& command) {
  new (command.io.scratch) Transfer{.deadline = reactor().now() + limit_ms(&Limits::r2t_ms)};
  transfers_.push_back(command);
  if (wish_ != net::Wish::kStay) return;
  const uint8_t flags = session_.has_header_digest ? kFlagHdgst : 0;
  const size_t size = sizeof(R2t) + (session_.has_header_digest ? kDigestSize : 0);
  R2t pdu{};
  pdu.ch = common_header(PduType::kR2t, flags, sizeof(R2t), size);
  pdu.cccid = command.cid();
  pdu.ttag = nvmf::Queue::tag_of(command);
  pdu.r2tl = command.transfer_length;  // one R2T for all of it: no host has to allow more than one at a time
  if (WEFT_PLANTED("r2t-length-off-by-one")) pdu.r2tl = command.transfer_length + 1;
  append_header(pdu, size);
  if (WEFT_PLANTED("r2t-sent-twice")) append_header(pdu, size);
  announce();
}

void Connection::append_ic_resp(uint8_t dgst) {
  IcResp response{};
  response.ch = common_header(PduType::kIcResp, 0, sizeof(IcResp), sizeof(IcResp));
  response.dgst = dgst;  // Linux takes nothing but its own bits back; CPDA must be 0 for it
  response.maxh2cdata = session_.maxh2cdata;
  const auto room = send_queue_.append(sizeof(IcResp));
  std::memcpy(room.data(), &response, sizeof(IcResp));
  announce();
}

void Connection::append_termination(Violation violation, std::span<const std::byte> header) {
  const auto copied = header.first(std::min(header.size(), kTermReqDataMax));
  TermReq request{};
  request.ch = common_header(PduType::kC2hTermReq, 0, sizeof(TermReq), sizeof(TermReq) + copied.size());
  request.fes = uint16_t(violation.fes);
  request.fei = violation.fei;
  const auto room = send_queue_.append(sizeof(TermReq) + copied.size());
  std::memcpy(room.data(), &request, sizeof(TermReq));
  std::memcpy(room.data() + sizeof(TermReq), copied.data(), copied.size());
}

}  // namespace weft::tcp
