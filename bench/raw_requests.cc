#include "bench/raw_requests.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "bench/system.h"

namespace weft::bench {
namespace {

constexpr size_t kAnswersMax = 2048;  // pending on one connection: the client's deepest queue has 1,024

}  // namespace

RawRequests::RawRequests(RawMedium& medium) : medium_(medium), answers_({.slots = kAnswersMax, .header_bytes_max = sizeof(tcp::DataPdu)}) {}

uint64_t RawRequests::receive(std::span<const std::byte> bytes) {
  answered_ = 0;
  if (walker_.walk(bytes, *this) != PduWalker::Outcome::kFine) die("a request is no PDU");
  return answered_;
}

void RawRequests::on_header(std::span<const std::byte> header) {
  const auto type = tcp::PduType(view<tcp::CommonHeader>(header)->type);
  if (const auto* capsule = view<tcp::CapsuleCmd>(header); capsule != nullptr && type == tcp::PduType::kCapsuleCmd) return on_command(*capsule);
  const auto* data = view<tcp::DataPdu>(header);
  if (data == nullptr || type != tcp::PduType::kH2cData) die("a request is neither a command nor data");
  store_ = medium_.write();
  cid_ = data->cccid;
  ends_write_ = (data->ch.flags & tcp::kFlagLast) != 0;
}

void RawRequests::on_command(const tcp::CapsuleCmd& capsule) {
  if (capsule.sqe.opcode == uint8_t(nvme::IoOpcode::kRead)) return answer_read(capsule.sqe.cid, capsule.sqe.sgl.length);
  if (uint32_t{capsule.ch.plen} == sizeof capsule) return request_transfer(capsule.sqe.cid, capsule.sqe.sgl.length);
  store_ = medium_.write();
  cid_ = capsule.sqe.cid;
  ends_write_ = true;
}

void RawRequests::on_payload(std::span<const std::byte> payload) {
  const size_t part = std::min(payload.size(), store_.size());
  if (part > 0) std::memcpy(store_.data(), payload.data(), part);
  store_ = store_.subspan(part);
}

void RawRequests::on_end() {
  if (!ends_write_) return;
  ends_write_ = false;
  answer_write(cid_);
}

void RawRequests::answer_read(uint16_t cid, uint32_t length) {
  tcp::DataPdu header{};
  header.ch = {.type = uint8_t(tcp::PduType::kC2hData),
               .flags = tcp::kFlagLast | tcp::kFlagSuccess,
               .hlen = sizeof header,
               .pdo = sizeof header,
               .plen = uint32_t(sizeof header) + length};
  header.cccid = cid;
  header.datal = length;
  const std::span<const std::byte> payload = medium_.read();
  if (payload.size() != length) die("a read of another length");
  answers_.push(bytes_of(header), payload);
  ++answered_;
}

void RawRequests::answer_write(uint16_t cid) {
  tcp::CapsuleResp response{};
  response.ch = {.type = uint8_t(tcp::PduType::kCapsuleResp), .flags = 0, .hlen = sizeof response, .pdo = 0, .plen = uint32_t{sizeof response}};
  response.cqe.cid = cid;
  answers_.push(bytes_of(response), {});
  ++answered_;
}

void RawRequests::request_transfer(uint16_t cid, uint32_t length) {
  tcp::R2t r2t{};
  r2t.ch = {.type = uint8_t(tcp::PduType::kR2t), .flags = 0, .hlen = sizeof r2t, .pdo = 0, .plen = uint32_t{sizeof r2t}};
  r2t.cccid = cid;
  r2t.r2tl = length;
  answers_.push(bytes_of(r2t), {});
}

}  // namespace weft::bench
