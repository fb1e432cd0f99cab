// What the connection sends: ICReq, capsules, H2CData. A slot has at most one PDU on its way; pending() gathers them in order.
#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/simulation.h"
#include "host/tcp_connection.h"
#include "wire/fabrics/connect.h"

namespace weft::host {
namespace {

constexpr size_t kPiecesMax = 3;  // of one PDU: header, data, data digest

}  // namespace

void TcpConnection::build_icreq() {
  icreq_.ch = {.type = uint8_t(tcp::PduType::kIcReq), .flags = 0, .hlen = sizeof icreq_, .pdo = 0, .plen = uint32_t(sizeof icreq_)};
  icreq_.pfv = 0;
  icreq_.hpda = 0;
  icreq_.dgst = uint8_t((options_.digests.header ? tcp::kDigestHeader : 0) | (options_.digests.data ? tcp::kDigestData : 0));
  icreq_.maxr2t = 0;  // one at a time
}

void TcpConnection::build_capsule(Slot& slot) {
  const Command& command = *slot.command;
  tcp::CapsuleCmd pdu{};
  pdu.sqe = command.sqe;
  pdu.sqe.flags = uint8_t((pdu.sqe.flags & 0x3f) | uint8_t(nvme::Psdt::kSglContiguousMetadata) << 6);
  const bool is_control = options_.kind == QueueKind::kAdmin || pdu.sqe.opcode == nvme::kFabricsOpcode;
  const size_t in_capsule_max = is_control ? kControlInCapsuleBytes : options_.in_capsule_bytes;
  slot.is_in_capsule = !command.out.empty() && command.out.size() <= in_capsule_max;
  pdu.sqe.sgl = {};
  pdu.sqe.sgl.length = uint32_t(slot.is_in_capsule || command.in.empty() ? command.out.size() : command.in.size());
  pdu.sqe.sgl.type = slot.is_in_capsule ? nvme::SglDescriptor::kDataBlockOffset : nvme::SglDescriptor::kTransportDataBlock;
  slot.payload = slot.is_in_capsule ? command.out : std::span<const std::byte>{};
  pdu.ch = {.type = uint8_t(tcp::PduType::kCapsuleCmd), .flags = 0, .hlen = sizeof pdu, .pdo = 0, .plen = 0};
  std::memcpy(slot.header.data(), &pdu, sizeof pdu);
  seal(slot, pdu.ch);
}

void TcpConnection::build_data(Slot& slot) {
  const uint32_t size = std::min(slot.r2t_end - slot.data_bytes, maxh2cdata_);
  tcp::DataPdu pdu{};
  pdu.cccid = cid_of(slot);
  pdu.ttag = slot.ttag;
  pdu.datao = slot.data_bytes;
  pdu.datal = size;
  slot.payload = slot.command->out.subspan(slot.data_bytes, size);
  const bool is_last = slot.data_bytes + size == slot.r2t_end;
  pdu.ch = {.type = uint8_t(tcp::PduType::kH2cData), .flags = is_last ? tcp::kFlagLast : uint8_t{0}, .hlen = sizeof pdu, .pdo = 0, .plen = 0};
  std::memcpy(slot.header.data(), &pdu, sizeof pdu);
  seal(slot, pdu.ch);
}

/// Completes the common header of the PDU in slot.header, for slot.payload, and computes the digests.
void TcpConnection::seal(Slot& slot, tcp::CommonHeader header) {
  const size_t header_size = header.hlen + (options_.digests.header ? tcp::kDigestSize : 0);
  slot.header_size = uint8_t(header_size);
  const bool has_data = !slot.payload.empty();
  if (options_.digests.header) header.flags |= tcp::kFlagHdgst;
  if (options_.digests.data && has_data) header.flags |= tcp::kFlagDdgst;
  header.pdo = has_data ? uint8_t(header_size) : uint8_t{0};
  header.plen = uint32_t(header_size + slot.payload.size() + digest_size(slot));
  std::memcpy(slot.header.data(), &header, sizeof header);
  if (options_.digests.header) store_le32(slot.header.data() + header.hlen, crc32c({slot.header.data(), header.hlen}));
  if (options_.digests.data && has_data) store_le32(slot.digest.data(), crc32c(slot.payload));
}

size_t TcpConnection::digest_size(const Slot& slot) const {
  return options_.digests.data && !slot.payload.empty() ? tcp::kDigestSize : 0;
}

size_t TcpConnection::pdu_size(const Slot& slot) const { return slot.header_size + slot.payload.size() + digest_size(slot); }

void TcpConnection::enqueue(Slot& slot) {
  sending_.push_back(slot);
  outlet_->wants_send();
}

std::span<const iovec> TcpConnection::pending(std::span<iovec> room) {
  if (state_ == State::kClosed) return {};
  size_t count = 0;
  size_t skip = 0;
  const auto add = [&](const std::byte* bytes, size_t size) {
    const size_t skipped = std::min(skip, size);
    skip -= skipped;
    if (skipped < size) room[count++] = {const_cast<std::byte*>(bytes) + skipped, size - skipped};  // iovec serves reading too
  };
  if (icreq_sent_ < sizeof icreq_) {
    skip = icreq_sent_;
    add(reinterpret_cast<const std::byte*>(&icreq_), sizeof icreq_);
    return room.first(count);
  }
  skip = front_sent_;
  for (Slot* slot = sending_.front(); slot != nullptr && count + kPiecesMax <= room.size(); slot = sending_.next(*slot)) {
    add(slot->header.data(), slot->header_size);
    add(slot->payload.data(), slot->payload.size());
    add(slot->digest.data(), digest_size(*slot));
  }
  return room.first(count);
}

void TcpConnection::sent(size_t bytes, Instant) {
  if (icreq_sent_ < sizeof icreq_) {
    icreq_sent_ += bytes;
    WEFT_ASSERT(icreq_sent_ <= sizeof icreq_);
    return;
  }
  front_sent_ += bytes;
  while (Slot* slot = sending_.front()) {
    const size_t size = pdu_size(*slot);
    if (front_sent_ < size) return;
    front_sent_ -= size;
    sending_.pop_front();
    pdu_sent(*slot);
  }
  WEFT_ASSERT(front_sent_ == 0);
}

void TcpConnection::pdu_sent(Slot& slot) {
  if (slot.progress == Progress::kCapsule) {
    if (slot.is_in_capsule) slot.data_bytes = uint32_t(slot.payload.size());
  } else {
    WEFT_ASSERT(slot.progress == Progress::kData);
    slot.data_bytes += uint32_t(slot.payload.size());
    if (slot.data_bytes < slot.r2t_end) {
      WEFT_PROBE("host/data-beyond-maxh2cdata");
      build_data(slot);
      sending_.push_back(slot);  // behind the others: a long transfer does not hold them up
      return;
    }
  }
  slot.progress = Progress::kWaiting;
  if (slot.early) complete(slot, *slot.early);
}

}  // namespace weft::host
