// Holds what a target sends on one connection to what any host may expect of it, whatever the host has sent: whole PDUs
// of a target's types with right lengths and digests, ICResp first and once, answers only to commands that were sent
// and no more than were sent, nothing behind a termination.
#pragma once
#include "base/assert.h"
#include "fuzz/pdu_parts.h"
#include "wire/print.h"

#include <map>
#include <optional>
#include <utility>

namespace weft::fuzz {

class AnswerChecker {
 public:
  /// The host has sent these bytes: framed by PLEN, as far as that makes sense.
  void on_sent(std::span<const std::byte> bytes) {
    sent_.insert(sent_.end(), bytes.begin(), bytes.end());
    size_t at = 0;
    while (const auto* common = view<tcp::CommonHeader>(std::span(sent_).subspan(at))) {
      const size_t size = common->plen;
      if (size < sizeof *common) break;  // the target has ended here
      const auto type = tcp::PduType(common->type);
      // An ICReq is a whole PDU or none.
      if (type == tcp::PduType::kIcReq && size == sizeof(tcp::IcReq) && sent_.size() - at >= size)
        note_ic_req(*view<tcp::IcReq>(std::span(sent_).subspan(at)));
      // A digest that does not come any more does not undo the command.
      if (type == tcp::PduType::kCapsuleCmd && sent_.size() - at >= sizeof(tcp::CapsuleCmd)) {
        if (at >= noted_) ++commands_[view<tcp::CapsuleCmd>(std::span(sent_).subspan(at))->sqe.cid].sent;
        noted_ = std::max(noted_, at + 1);
      }
      if (sent_.size() - at < size) break;
      at += size;
    }
    sent_.erase(sent_.begin(), sent_.begin() + ptrdiff_t(at));
    noted_ -= std::min(noted_, at);
  }

  /// The target's bytes so far; takes the whole PDUs off their front. Returns the last R2T among them.
  std::optional<tcp::R2t> on_answer(Bytes& bytes) {
    std::optional<tcp::R2t> asked;
    size_t at = 0;
    while (const auto* common = view<tcp::CommonHeader>(std::span(bytes).subspan(at))) {
      const size_t size = common->plen;
      WEFT_ASSERT(size >= sizeof *common);
      if (bytes.size() - at < size) break;
      const auto pdu = std::span<const std::byte>(bytes).subspan(at, size);
      check(pdu);
      if (tcp::PduType(common->type) == tcp::PduType::kR2t) asked = *view<tcp::R2t>(pdu);
      at += size;
    }
    bytes.erase(bytes.begin(), bytes.begin() + ptrdiff_t(at));
    return asked;
  }

  Digests digests() const { return digests_; }

 private:
  struct Count {
    uint32_t sent = 0;
    uint32_t completed = 0;
  };

  void note_ic_req(const tcp::IcReq& request) {
    if (std::exchange(has_ic_req_, true)) return;
    digests_ = digests_of_dgst(request.dgst);
    data_alignment_ = (request.hpda + 1u) * 4;
  }

  void check(std::span<const std::byte> pdu) {
    WEFT_ASSERT(!is_terminated_);
    WEFT_ASSERT(!tcp::pdu_to_text(pdu).empty());
    const auto& common = *view<tcp::CommonHeader>(pdu);
    switch (tcp::PduType(common.type)) {
      case tcp::PduType::kIcResp:
        return check_ic_resp(pdu);
      case tcp::PduType::kC2hTermReq:
        is_terminated_ = true;
        WEFT_ASSERT(common.hlen == sizeof(tcp::TermReq));
        WEFT_ASSERT(pdu.size() <= sizeof(tcp::TermReq) + tcp::kTermReqDataMax);
        return;
      case tcp::PduType::kCapsuleResp:
        check_frame(pdu, sizeof(tcp::CapsuleResp));
        WEFT_ASSERT((view<tcp::CapsuleResp>(pdu)->cqe.status & 1) == 0);
        return complete(view<tcp::CapsuleResp>(pdu)->cqe.cid);
      case tcp::PduType::kC2hData:
        return check_data(pdu);
      case tcp::PduType::kR2t:
        check_frame(pdu, sizeof(tcp::R2t));
        WEFT_ASSERT(view<tcp::R2t>(pdu)->r2tl > 0);
        WEFT_ASSERT(is_outstanding(view<tcp::R2t>(pdu)->cccid));
        return;
      case tcp::PduType::kIcReq:
      case tcp::PduType::kH2cTermReq:
      case tcp::PduType::kCapsuleCmd:
      case tcp::PduType::kH2cData:
        break;
    }
    WEFT_ASSERT(!"a PDU that a target sends");
  }

  void check_ic_resp(std::span<const std::byte> pdu) {
    WEFT_ASSERT(!is_initialized_);
    WEFT_ASSERT(pdu.size() == sizeof(tcp::IcResp));
    const auto& response = *view<tcp::IcResp>(pdu);
    WEFT_ASSERT(response.ch.flags == 0 && response.ch.hlen == sizeof(tcp::IcResp) && response.ch.pdo == 0);
    WEFT_ASSERT(response.dgst == ((digests_.header ? tcp::kDigestHeader : 0) | (digests_.data ? tcp::kDigestData : 0)));
    WEFT_ASSERT(response.maxh2cdata >= 4096 && response.maxh2cdata % 4 == 0);
    is_initialized_ = true;
  }

  /// Header and data digest and the lengths of anything behind the handshake.
  void check_frame(std::span<const std::byte> pdu, size_t header_size) {
    WEFT_ASSERT(is_initialized_);
    const auto& common = *view<tcp::CommonHeader>(pdu);
    WEFT_ASSERT(common.hlen == header_size);
    WEFT_ASSERT(((common.flags & tcp::kFlagHdgst) != 0) == digests_.header);
    const size_t header_end = header_size + (digests_.header ? tcp::kDigestSize : 0);
    WEFT_ASSERT(common.pdo != 0 || pdu.size() == header_end);
    if (digests_.header) WEFT_ASSERT(load_le32(pdu.data() + header_size) == crc32c(pdu.first(header_size)));
  }

  void check_data(std::span<const std::byte> pdu) {
    check_frame(pdu, sizeof(tcp::DataPdu));
    const auto& header = *view<tcp::DataPdu>(pdu);
    const size_t trailer = digests_.data ? tcp::kDigestSize : 0;
    WEFT_ASSERT(header.datal > 0);
    WEFT_ASSERT(header.ch.pdo % data_alignment_ == 0);
    WEFT_ASSERT(header.ch.pdo + size_t{header.datal} + trailer == pdu.size());
    WEFT_ASSERT(((header.ch.flags & tcp::kFlagDdgst) != 0) == digests_.data);
    const auto data = pdu.subspan(header.ch.pdo, header.datal);
    if (digests_.data) WEFT_ASSERT(load_le32(data.data() + data.size()) == crc32c(data));
    WEFT_ASSERT(is_outstanding(header.cccid));
    if ((header.ch.flags & tcp::kFlagSuccess) == 0) return;
    WEFT_ASSERT((header.ch.flags & tcp::kFlagLast) != 0);
    complete(header.cccid);
  }

  bool is_outstanding(uint16_t cid) {
    const Count& count = commands_[cid];
    return count.completed < count.sent;
  }
  void complete(uint16_t cid) {
    WEFT_ASSERT(is_outstanding(cid));
    ++commands_[cid].completed;
  }

  Bytes sent_;
  size_t noted_ = 0;  // capsules before this offset of `sent_` are counted
  std::map<uint16_t, Count> commands_;
  Digests digests_;
  size_t data_alignment_ = 4;
  bool has_ic_req_ = false;
  bool is_initialized_ = false;  // ICResp has come
  bool is_terminated_ = false;
};

}  // namespace weft::fuzz
