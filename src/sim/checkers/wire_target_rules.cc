// What a target may send: C2HData, R2T, responses. NVMe/TCP 1.0a §3.3; how often a command may be answered, and what is
// in the completion, is CompletionChecker's.
#include "base/bytes.h"
#include "sim/checkers/command_rules.h"
#include "sim/checkers/wire_monitor.h"
#include "wire/fabrics/connect.h"


namespace weft::sim {
namespace {

using Way = WireRecord::Way;
constexpr Side kBy = Side::kTarget;

}  // namespace

bool WireMonitor::on_c2h_data(const tcp::DataPdu& pdu, const WireFrame& frame, Instant now) {
  const uint16_t cid = pdu.cccid;
  const uint32_t offset = pdu.datao;
  const uint32_t length = pdu.datal;
  WireRecord* record = ledger_.find_open(cid);
  if (record == nullptr) return broken(kBy, "C2HData: no command with CID {:04x}h is outstanding", cid);
  if (record->way != Way::kToHost) return broken(kBy, "C2HData for a command that reads nothing (CID {:04x}h)", cid);
  if (uint16_t{pdu.ttag} != 0) return broken(kBy, "C2HData: reserved bytes are not zero (CID {:04x}h)", cid);
  if (record->has_last) return broken(kBy, "C2HData after the one with LAST_PDU (CID {:04x}h)", cid);
  if (length != frame.data_size)
    return broken(kBy, "C2HData: DATAL {}, but it has {} bytes (CID {:04x}h)", length, frame.data_size, cid);
  if (offset != record->given)
    return broken(kBy, "C2HData: DATAO {}, due is {} (CID {:04x}h)", offset, record->given, cid);
  if (length > record->length - record->given) {
    return broken(kBy, "C2HData: {} bytes at {} exceed the {} asked for (CID {:04x}h)", length, offset, record->length,
                  cid);
  }
  record->given += length;
  record->has_last = (frame.flags & tcp::kFlagLast) != 0;
  if ((frame.flags & tcp::kFlagSuccess) == 0) return true;
  if (!record->has_last) return broken(kBy, "C2HData: SUCCESS without LAST_PDU (CID {:04x}h)", cid);
  if (queue_.has_flow_control)
    return broken(kBy, "C2HData: SUCCESS on a queue with SQ flow control (CID {:04x}h)", cid);
  if (record->given != record->length) {
    return broken(kBy, "C2HData: SUCCESS after {} of {} bytes (CID {:04x}h)", record->given, record->length, cid);
  }
  nvme::Cqe cqe{};
  cqe.cid = cid;
  events_.on_completion(queue_, {&record->sqe, cqe, true, earliest_completion(record, now), record->length}, now);
  answered(*record, cid);
  return true;
}

bool WireMonitor::on_r2t(const tcp::R2t& pdu, Instant now) {
  const uint16_t cid = pdu.cccid;
  const uint16_t ttag = pdu.ttag;
  const uint32_t offset = pdu.r2to;
  const uint32_t length = pdu.r2tl;
  WireRecord* record = ledger_.find_open(cid);
  if (record == nullptr) return broken(kBy, "R2T: no command with CID {:04x}h is outstanding", cid);
  if (record->way != Way::kToTarget)
    return broken(kBy, "R2T for a command that has no data to send (CID {:04x}h)", cid);
  if (length == 0) return broken(kBy, "R2T for 0 bytes (CID {:04x}h)", cid);
  // From 0 up and without gaps: so each byte is asked for once.
  if (offset != record->asked) return broken(kBy, "R2T: R2TO {}, due is {} (CID {:04x}h)", offset, record->asked, cid);
  if (length > record->length - record->asked) {
    return broken(kBy, "R2T: {} bytes at {} exceed the {} of the command (CID {:04x}h)", length, offset, record->length,
                  cid);
  }
  uint32_t outstanding = 0;
  for (const WireTransfer& transfer : ledger_.transfers) {
    if (transfer.is_void) continue;
    if (transfer.ttag == ttag) return broken(kBy, "R2T: TTAG {:04x}h is in use (CID {:04x}h)", ttag, cid);
    outstanding += transfer.cid == cid ? 1 : 0;
  }
  if (outstanding >= session_.maxr2t) {
    return broken(kBy, "R2T: {} are outstanding, MAXR2T allows {} (CID {:04x}h)", outstanding, session_.maxr2t, cid);
  }
  record->asked += length;
  ledger_.transfers.push_back({.cid = cid, .ttag = ttag, .offset = offset, .length = length});
  events_.on_r2t(queue_, record->sqe, length, now);
  return true;
}

void WireMonitor::r2t_arrived(const tcp::R2t& pdu) {
  if (WireTransfer* transfer = ledger_.find_transfer(pdu.cccid, pdu.ttag)) transfer->is_known_to_host = true;
}

bool WireMonitor::on_response(const nvme::Cqe& cqe, Instant now) {
  const uint16_t cid = cqe.cid;
  const nvme::Status status = cqe.decoded_status();
  WireRecord* record = ledger_.find_open(cid);
  events_.on_completion(
      queue_, {record != nullptr ? &record->sqe : nullptr, cqe, false, earliest_completion(record, now), record != nullptr ? record->length : 0}, now);
  if (record == nullptr) return true;  // the listener's finding
  if (status.ok() && !is_success_right(*record)) return false;
  if (status.is(nvme::status::kTransientTransportError) && !record->is_spoiled) {
    return broken(kBy, "CapsuleResp: transient transport error, but all data has arrived as it was sent (CID {:04x}h)",
                  cid);
  }
  if (is_connect(record->sqe) && status.ok()) connected(*record, cqe, now);
  answered(*record, cid);
  return true;
}

/// All data has been moved, unspoiled.
bool WireMonitor::is_success_right(const WireRecord& record) {
  const uint16_t cid = record.sqe.cid;
  if (record.is_spoiled) return broken(kBy, "CapsuleResp: success, but the data came spoiled (CID {:04x}h)", cid);
  switch (record.way) {
    case Way::kNone:
    case Way::kInCapsule:
      return true;
    case Way::kToTarget:
      return record.arrived == record.length ||
             broken(kBy, "CapsuleResp: success after {} of {} bytes have arrived (CID {:04x}h)", record.arrived,
                    record.length, cid);
    case Way::kToHost:
      if (record.given != record.length) {
        return broken(kBy, "CapsuleResp: success after {} of {} bytes were sent (CID {:04x}h)", record.given,
                      record.length, cid);
      }
      return record.has_last || broken(kBy, "CapsuleResp: success, but no C2HData had LAST_PDU (CID {:04x}h)", cid);
  }
  return true;
}

void WireMonitor::answered(WireRecord& record, uint16_t cid) {
  record.is_answered = true;
  for (WireTransfer& transfer : ledger_.transfers) transfer.is_void |= transfer.cid == cid;
}

void WireMonitor::connected(const WireRecord& record, const nvme::Cqe& cqe, Instant now) {
  take_grant(queue_, record.sqe, *view<fabrics::ConnectData>(record.connect_data), cqe);
  events_.on_connected(queue_, now);
}

/// The response may have been ready before this: since the command has arrived, if bytes before it had to wait.
Instant WireMonitor::earliest_completion(const WireRecord* record, Instant now) const {
  return was_idle_ || record == nullptr ? now : record->arrived_at;
}

}  // namespace weft::sim
