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

/// Unlike align_up(), for any unit: HPDA counts dwords.
size_t round_up(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

}  // namespace

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
  append_header(bytes_of(pdu), size);
  if (WEFT_PLANTED("r2t-sent-twice")) append_header(bytes_of(pdu), size);
  announce();
}

void Connection::respond(nvmf::Command& command) {
  if (transport::is_breach(command.status)) {
    tell(EventLog::Kind::kBreach, "command {:02x}h with CID {} on queue {}: {}", command.sqe.opcode, command.cid(), queue_.qid(),
         nvme::name_of(command.status));
  }
  if (!has_terminated() && (wish_ == net::Wish::kStay || wish_ == net::Wish::kCloseSent)) {
    const nvme::Cqe cqe = queue_.make_cqe(command);
    const bool has_data = command.status.ok() && !command.response_data.empty();
    // The host makes up the completion itself: possible when nothing of it would say anything. §3.6.2.7.
    const bool may_elide = queue_.is_sq_flow_control_disabled() || WEFT_PLANTED("success-flag-with-flow-control");
    const bool is_elided = has_data && may_elide && cqe.decoded_status() == nvme::status::kSuccess && command.result == 0;
    if (has_data) append_c2h_data(command, is_elided ? kFlagLast | kFlagSuccess : kFlagLast);
    if (!is_elided || WEFT_PLANTED("response-after-success-flag")) append_capsule_resp(cqe);
    if (WEFT_PLANTED("completion-twice")) append_capsule_resp(cqe);
  } else {  // a termination was the last thing that we have said
    WEFT_PROBE("tcp/response-after-termination");
  }
  send_queue_.mark(command);
  announce();
}

void Connection::append_c2h_data(const nvmf::Command& command, uint8_t flags) {
  const auto data = command.response_data;
  WEFT_SUSPECT(data.size() == command.transfer_length);
  const size_t header_size = sizeof(DataPdu) + (session_.has_header_digest ? kDigestSize : 0);
  const size_t data_offset = round_up(header_size, session_.data_alignment);
  if (session_.has_header_digest) flags |= kFlagHdgst;
  if (session_.has_data_digest) flags |= kFlagDdgst;
  if (WEFT_PLANTED("c2h-last-missing")) flags &= uint8_t(~kFlagLast);
  DataPdu pdu{};
  pdu.ch = common_header(PduType::kC2hData, flags, sizeof(DataPdu), data_offset + data.size() + (session_.has_data_digest ? kDigestSize : 0));
  pdu.ch.pdo = uint8_t(data_offset);
  pdu.cccid = command.cid();
  pdu.datal = uint32_t(data.size());
  append_header(bytes_of(pdu), data_offset);

  // With a data digest nothing is lent by media (forbid_lending()), so what is not the pool's does not change either.
  const bool is_lent = command.buffer.empty();
  send_queue_.append_data(data, is_lent ? DataKind::kLent : DataKind::kStable);
  if (session_.has_data_digest) store_le32(send_queue_.append(kDigestSize).data(), crc32c(data));
}

void Connection::append_capsule_resp(const nvme::Cqe& cqe) {
  const size_t size = sizeof(CapsuleResp) + (session_.has_header_digest ? kDigestSize : 0);
  const uint8_t flags = session_.has_header_digest ? kFlagHdgst : 0;
  append_header(bytes_of(CapsuleResp{common_header(PduType::kCapsuleResp, flags, sizeof(CapsuleResp), size), cqe}), size);
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

/// `header`, its digest if there are any, and zeroes up to `size`.
std::span<std::byte> Connection::append_header(std::span<const std::byte> header, size_t size) {
  const auto room = send_queue_.append(size);
  copy_window(room, header, 0);
  if (session_.has_header_digest) store_le32(room.data() + header.size(), crc32c(header));
  return room;
}

void Connection::announce() {
  if (std::exchange(is_announced_, true)) return;
  outlet_->wants_send();
}

}  // namespace weft::tcp
