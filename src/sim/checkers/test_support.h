// A connection whose bytes a test says by hand, under the wire monitor and the checkers that it is given. Not part of
// the library.
#pragma once
#include "sim/checkers/completion_checker.h"
#include "sim/checkers/wire_watch.h"
#include "transport/tcp/test_support.h"

#include <memory>
#include <string>

namespace weft::sim::testing {

using tcp::PduType;
using tcp::testing::Bytes;
using tcp::testing::PeerOptions;

inline constexpr uint32_t kMaxh2cdata = 4096;
inline constexpr uint8_t kInCapsule = nvme::SglDescriptor::kDataBlockOffset;
inline constexpr uint8_t kTransport = nvme::SglDescriptor::kTransportDataBlock;
inline constexpr uint32_t kBlock = tcp::testing::kBlockSize;
inline constexpr uint8_t kLast = tcp::kFlagLast;
inline constexpr uint8_t kSuccess = tcp::kFlagSuccess;

/// A referee and a watch, and who listens.
struct Watched {
  Watched() { watch.add(completions); }
  /// "checker: what", empty when nothing was found.
  std::string finding() const {
    return referee.finding() ? referee.finding()->checker + ": " + referee.finding()->what : std::string{};
  }
  Referee referee;
  WireWatch watch{referee};
  CompletionChecker completions{referee};
};

struct LineOptions {
  PeerOptions peer{};
  uint32_t maxr2t = 0;  // 0-based
  uint16_t qid = 1;
  uint16_t sqsize = 3;  // 0-based
  uint16_t cntlid = 5;
  uint32_t kato_ms = 0;
  bool is_flow_controlled = true;
  size_t segment = SIZE_MAX;  // bytes that are sent or received at once
};

/// One connection. What a side says arrives at once, unless it is said by sent().
class Line {
 public:
  Line(Watched& watched, const LineOptions& options) : Line(watched.watch, options) {}
  Line(WireTaps& taps, const LineOptions& options)
      : options_(options), tap_(taps.connected(1, 0, {"10.0.0.1", 4420, false}, now)) {}

  // --- bytes
  void sent(Side from, const Bytes& bytes) {
    for_each_segment(bytes, [&](std::span<const std::byte> segment) { tap_->on_sent(from, segment, now); });
  }
  void received(Side by, const Bytes& bytes) {
    for_each_segment(bytes, [&](std::span<const std::byte> segment) { tap_->on_received(by, segment, now); });
  }
  void host(const Bytes& bytes) {
    sent(Side::kHost, bytes);
    received(Side::kTarget, bytes);
  }
  void target(const Bytes& bytes) {
    sent(Side::kTarget, bytes);
    received(Side::kHost, bytes);
  }
  WireTap& tap() { return *tap_; }

  // --- PDUs
  Bytes ic_req() const {
    Bytes bytes = tcp::testing::ic_req(options_.peer);
    bytes[12] = std::byte(options_.maxr2t);
    return bytes;
  }
  Bytes ic_resp() const {
    tcp::IcResp pdu{};
    pdu.ch = {.type = uint8_t(PduType::kIcResp), .flags = 0, .hlen = 128, .pdo = 0, .plen = 128};
    pdu.dgst =
        tcp::testing::ic_req(options_.peer)[11] == std::byte{} ? 0 : uint8_t(tcp::testing::ic_req(options_.peer)[11]);
    pdu.maxh2cdata = kMaxh2cdata;
    Bytes bytes;
    tcp::testing::add(bytes, pdu);
    return bytes;
  }
  Bytes connect(uint16_t cid) const {
    const uint8_t cattr = options_.is_flow_controlled ? 0 : fabrics::kCattrDisableSqFlowControl;
    const uint16_t cntlid = options_.qid == 0 ? 0xffff : options_.cntlid;
    Bytes bytes = tcp::testing::connect_capsule(
        cid, {.qid = options_.qid, .sqsize = options_.sqsize, .cntlid = cntlid, .cattr = cattr}, options_.peer);
    store_le32(bytes.data() + 8 + offsetof(fabrics::ConnectSqe, kato), options_.kato_ms);
    return resealed(bytes);
  }
  Bytes capsule(const nvme::Sqe& sqe, const Bytes& data = {}) const {
    return tcp::testing::capsule(sqe, data, options_.peer);
  }
  static nvme::Sqe io(nvme::IoOpcode opcode, uint16_t cid, uint32_t blocks, uint8_t sgl) {
    return tcp::testing::io_sqe(opcode, cid, 0, blocks, sgl);
  }
  static nvme::Sqe admin(nvme::AdminOpcode opcode, uint16_t cid) {
    nvme::Sqe sqe{};
    sqe.opcode = uint8_t(opcode);
    sqe.flags = 0x40;
    sqe.cid = cid;
    sqe.sgl.type = kTransport;
    return sqe;
  }
  Bytes read(uint16_t cid, uint32_t blocks) const {
    return capsule(io(nvme::IoOpcode::kRead, cid, blocks, kTransport));
  }
  Bytes write(uint16_t cid, uint32_t blocks) const {
    return capsule(io(nvme::IoOpcode::kWrite, cid, blocks, kTransport));
  }
  Bytes write_in_capsule(uint16_t cid, uint32_t blocks) const {
    return capsule(io(nvme::IoOpcode::kWrite, cid, blocks, kInCapsule), tcp::testing::pattern(blocks * kBlock, 3));
  }
  Bytes flush(uint16_t cid) const {
    nvme::Sqe sqe = io(nvme::IoOpcode::kFlush, cid, 0, kTransport);
    sqe.cdw12 = 0u;
    return capsule(sqe);
  }
  Bytes r2t(uint16_t cid, uint16_t ttag, uint32_t offset, uint32_t length) const {
    tcp::R2t pdu{};
    pdu.cccid = cid;
    pdu.ttag = ttag;
    pdu.r2to = offset;
    pdu.r2tl = length;
    return tcp::testing::pdu(PduType::kR2t, pdu, 0, {}, options_.peer);
  }
  Bytes data(PduType type, uint16_t cid, uint16_t ttag, uint32_t offset, uint32_t length, uint8_t flags) const {
    tcp::DataPdu pdu{};
    pdu.cccid = cid;
    pdu.ttag = ttag;
    pdu.datao = offset;
    pdu.datal = length;
    return tcp::testing::pdu(type, pdu, flags, tcp::testing::pattern(length, 9), options_.peer);
  }
  Bytes h2c(uint16_t cid, uint16_t ttag, uint32_t offset, uint32_t length, uint8_t flags) const {
    return data(PduType::kH2cData, cid, ttag, offset, length, flags);
  }
  Bytes c2h(uint16_t cid, uint32_t offset, uint32_t length, uint8_t flags) const {
    return data(PduType::kC2hData, cid, 0, offset, length, flags);
  }
  /// A response with the next SQHD.
  Bytes response(uint16_t cid, nvme::Status status = {}, uint32_t dw0 = 0) {
    nvme::Cqe cqe{};
    cqe.dw0 = dw0;
    cqe.cid = cid;
    cqe.sqid = options_.qid;
    cqe.status = status.to_cqe();
    head_ = uint16_t((head_ + 1) % (options_.sqsize + 1));
    if (options_.is_flow_controlled) cqe.sqhd = head_;
    return response(cqe);
  }
  Bytes response(const nvme::Cqe& cqe) const {
    return tcp::testing::pdu(PduType::kCapsuleResp, tcp::CapsuleResp{{}, cqe}, 0, {}, options_.peer);
  }
  Bytes termination(PduType type, uint16_t fes, uint32_t fei, const Bytes& echo) const {
    tcp::TermReq pdu{};
    pdu.fes = fes;
    pdu.fei = fei;
    Bytes bytes = tcp::testing::pdu(type, pdu, 0, {}, {});
    store_le32(bytes.data() + 4, uint32_t(bytes.size() + echo.size()));
    bytes.insert(bytes.end(), echo.begin(), echo.end());
    return bytes;
  }
  /// `bytes` with the byte at `offset` changed, and the header digest right again.
  Bytes edited(Bytes bytes, size_t offset, uint8_t value) const {
    bytes[offset] = std::byte(value);
    return resealed(bytes);
  }
  Bytes resealed(Bytes bytes) const {
    const auto hlen = size_t(bytes[2]);
    if (options_.peer.has_header_digest) store_le32(bytes.data() + hlen, crc32c(std::span(bytes).first(hlen)));
    return bytes;
  }

  // --- passages
  void shake_hands() {
    host(ic_req());
    target(ic_resp());
  }
  /// From ICReq to the response of Connect, which has CID 0.
  void open() {
    shake_hands();
    host(connect(0));
    nvme::Cqe cqe{};
    cqe.dw0 = options_.cntlid;
    cqe.sqid = options_.qid;
    cqe.sqhd = options_.is_flow_controlled ? 1 : 0xffff;
    head_ = 1;
    target(response(cqe));
  }
  void close() {
    tap_->on_closed(Side::kHost, now);
    tap_->on_closed(Side::kTarget, now);
  }
  const LineOptions& options() const { return options_; }

  Instant now{1'000'000'000};

 private:
  template <std::invocable<std::span<const std::byte>> F>
  void for_each_segment(std::span<const std::byte> bytes, F f) const {
    for (size_t at = 0; at < bytes.size(); at += std::min(options_.segment, bytes.size() - at)) {
      f(bytes.subspan(at, std::min(options_.segment, bytes.size() - at)));
    }
  }

  LineOptions options_;
  std::unique_ptr<WireTap> tap_;
  uint16_t head_ = 0;
};

}  // namespace weft::sim::testing
