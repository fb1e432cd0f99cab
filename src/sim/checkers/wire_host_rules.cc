// What a host may send: capsules and H2CData. NVMe/TCP 1.0a §3.3, NVMe Base 2.0 §3.3.
#include "base/bytes.h"
#include "sim/checkers/command_rules.h"
#include "sim/checkers/wire_monitor.h"
#include "wire/fabrics/connect.h"

namespace weft::sim {
namespace {

using nvme::SglDescriptor;
using Way = WireRecord::Way;
constexpr Side kBy = Side::kHost;

/// NVMe/TCP 1.0a §3.3.1: admin and fabrics commands, whatever IOCCSZ says. What an I/O command may bring is the
/// controller's to say: LimitsChecker.
constexpr uint32_t kControlInCapsuleMax = 8192;

Way way_of(const nvme::Sqe& sqe) {
  if (sqe.sgl.length == 0) return Way::kNone;
  switch (direction_of(sqe)) {
    case nvme::DataDirection::kHostToController:
      return sqe.sgl.type == SglDescriptor::kDataBlockOffset ? Way::kInCapsule : Way::kToTarget;
    case nvme::DataDirection::kControllerToHost:
      return Way::kToHost;
    case nvme::DataDirection::kNone:
    case nvme::DataDirection::kBidirectional:
      break;
  }
  return Way::kNone;
}

}  // namespace

bool WireMonitor::on_capsule(const nvme::Sqe& sqe, const WireFrame& frame, Instant now) {
  const uint16_t cid = sqe.cid;
  if (ledger_.find(cid) != nullptr) return broken(kBy, "CapsuleCmd: CID {:04x}h is outstanding", cid);
  if (const auto wrong = wrong_of_command(sqe, queue_, ledger_.commands.size()); !wrong.empty()) {
    return broken(kBy, "{}", wrong);
  }
  const bool has_no_data = direction_of(sqe) == nvme::DataDirection::kNone;  // then nothing looks at its SGL
  if (has_no_data && frame.data_size > 0)
    return broken(kBy, "CapsuleCmd: data in the capsule of a command without (CID {:04x}h)", cid);
  if (!has_no_data && !is_sgl_right(sqe, frame)) return false;
  if (const auto wrong = wrong_of_flags(sqe); !wrong.empty()) return broken(kBy, "{}", wrong);
  const WireRecord record{
      .sqe = sqe, .way = way_of(sqe), .length = sqe.sgl.length, .in_capsule_bytes = frame.data_size};
  ledger_.commands.emplace(cid, record);
  events_.on_command_sent(queue_, {sqe, frame.data_size}, now);
  return true;
}

bool WireMonitor::is_sgl_right(const nvme::Sqe& sqe, const WireFrame& frame) {
  const uint16_t cid = sqe.cid;
  const uint32_t length = sqe.sgl.length;
  const uint64_t address = sqe.sgl.address;
  switch (sqe.sgl.type) {
    case SglDescriptor::kDataBlockOffset:
      if (address != 0) return broken(kBy, "CapsuleCmd: in-capsule data at offset {} (CID {:04x}h)", address, cid);
      if (length != frame.data_size) {
        return broken(kBy, "CapsuleCmd: {} bytes in the capsule, {} in its SGL (CID {:04x}h)", frame.data_size, length,
                      cid);
      }
      break;
    case SglDescriptor::kTransportDataBlock:
      if (address != 0)
        return broken(kBy, "CapsuleCmd: a transport SGL with address {:x}h (CID {:04x}h)", address, cid);
      if (frame.data_size != 0) {
        return broken(kBy, "CapsuleCmd: {} bytes in a capsule with a transport SGL (CID {:04x}h)", frame.data_size,
                      cid);
      }
      break;
    default:
      return broken(kBy, "CapsuleCmd: SGL type {:02x}h (CID {:04x}h)", sqe.sgl.type, cid);
  }
  if (frame.data_size > 0 && direction_of(sqe) != nvme::DataDirection::kHostToController) {
    return broken(kBy, "CapsuleCmd: data in the capsule of a command that takes none (CID {:04x}h)", cid);
  }
  if ((is_fabrics(sqe) || queue_.is_admin()) && frame.data_size > kControlInCapsuleMax) {
    return broken(kBy, "CapsuleCmd: {} bytes in the capsule (CID {:04x}h)", frame.data_size, cid);
  }
  return true;
}

bool WireMonitor::on_h2c_data(const tcp::DataPdu& pdu, const WireFrame& frame) {
  const uint16_t cid = pdu.cccid;
  const uint32_t offset = pdu.datao;
  const uint32_t length = pdu.datal;
  WireTransfer* transfer = ledger_.find_transfer(cid, pdu.ttag);
  if (transfer == nullptr || !transfer->is_known_to_host || transfer->sent == transfer->length) {
    return broken(kBy, "H2CData: nobody has asked for it (CID {:04x}h, TTAG {:04x}h)", cid, uint16_t{pdu.ttag});
  }
  if (length != frame.data_size) return broken(kBy, "H2CData: DATAL {}, but it has {} bytes", length, frame.data_size);
  if (length > session_.maxh2cdata)
    return broken(kBy, "H2CData: {} bytes, MAXH2CDATA is {}", length, session_.maxh2cdata);
  if (offset != transfer->offset + transfer->sent) {
    return broken(kBy, "H2CData: DATAO {}, due is {} (CID {:04x}h)", offset, transfer->offset + transfer->sent, cid);
  }
  if (length > transfer->length - transfer->sent) {
    return broken(kBy, "H2CData: {} bytes at {} exceed the R2T (CID {:04x}h)", length, offset, cid);
  }
  transfer->sent += length;
  const bool is_last = (frame.flags & tcp::kFlagLast) != 0;
  if (is_last != (transfer->sent == transfer->length)) {
    return broken(kBy, "H2CData: LAST_PDU is {} after {} of {} bytes (CID {:04x}h)", is_last, transfer->sent,
                  transfer->length, cid);
  }
  return true;
}

void WireMonitor::capsule_arrived(const WireArrival& arrival, Instant now) {
  WireRecord* record = ledger_.find(view<tcp::CapsuleCmd>(arrival.bytes)->sqe.cid);
  // Once it has sent its last PDU, it drops what comes.
  if (record == nullptr || record->has_arrived || end(Side::kTarget).has_terminated) return;
  record->has_arrived = true;
  record->arrived_at = now;
  record->is_spoiled = arrival.is_data_spoiled;
  if (is_connect(record->sqe)) {
    record->connect_data.resize(sizeof(fabrics::ConnectData));
    const auto data = arrival.bytes.subspan(arrival.frame.data_offset, arrival.frame.data_size);
    std::ranges::copy(data.first(std::min(data.size(), record->connect_data.size())), record->connect_data.begin());
  }
  events_.on_command_taken(queue_, {record->sqe, record->in_capsule_bytes}, now);
}

void WireMonitor::h2c_data_arrived(const WireArrival& arrival) {
  const auto& pdu = *view<tcp::DataPdu>(arrival.bytes);
  WireTransfer* transfer = ledger_.find_transfer(pdu.cccid, pdu.ttag);
  if (transfer == nullptr) return;
  const uint32_t length = arrival.frame.data_size;
  transfer->arrived += length;
  if (WireRecord* record = ledger_.find_open(pdu.cccid); record != nullptr && !transfer->is_void) {
    record->arrived += length;
    record->is_spoiled |= arrival.is_data_spoiled;
    const auto data = arrival.bytes.subspan(arrival.frame.data_offset, length);
    if (uint64_t{pdu.datao} + length <= record->connect_data.size()) {
      std::ranges::copy(data, record->connect_data.begin() + ptrdiff_t(uint32_t{pdu.datao}));
    }
  }
  if (transfer->arrived == transfer->length) {
    std::erase_if(ledger_.transfers, [transfer](const WireTransfer& each) { return &each == transfer; });
  }
}

}  // namespace weft::sim
