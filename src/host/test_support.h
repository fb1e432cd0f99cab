// What the tests and the fuzz target of this room share: the target's PDUs as bytes, and a stand-in for the pump. Not part of the library.
#pragma once
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "host/tcp_connection.h"

namespace weft::host::testing_support {

using Bytes = std::vector<std::byte>;

inline Bytes pattern(size_t size, uint8_t seed) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = std::byte(uint8_t(seed + i * 7));
  return bytes;
}

/// Builds what a correct target sends, for the digests in use.
struct TargetPdus {
  Digests digests;

  Bytes icresp() const {
    tcp::IcResp pdu{};
    pdu.ch = {.type = 1, .flags = 0, .hlen = 128, .pdo = 0, .plen = 128u};
    pdu.dgst = uint8_t((digests.header ? 1 : 0) | (digests.data ? 2 : 0));
    pdu.maxh2cdata = 8192u;
    return to_bytes(pdu);
  }
  Bytes response(uint16_t cid, nvme::Status status = {}) const {
    tcp::CapsuleResp pdu{};
    pdu.ch = {.type = 5, .flags = 0, .hlen = 24, .pdo = 0, .plen = 0u};
    pdu.cqe.cid = cid;
    pdu.cqe.status = status.to_cqe();
    return seal(to_bytes(pdu), {});
  }
  Bytes data(uint16_t cid, uint32_t offset, std::span<const std::byte> payload, uint8_t flags) const {
    tcp::DataPdu pdu{};
    pdu.ch = {.type = 7, .flags = flags, .hlen = 24, .pdo = 0, .plen = 0u};
    pdu.cccid = cid;
    pdu.datao = offset;
    pdu.datal = uint32_t(payload.size());
    return seal(to_bytes(pdu), payload);
  }
  Bytes r2t(uint16_t cid, uint32_t offset, uint32_t length, uint16_t ttag = 77) const {
    tcp::R2t pdu{};
    pdu.ch = {.type = 9, .flags = 0, .hlen = 24, .pdo = 0, .plen = 0u};
    pdu.cccid = cid;
    pdu.ttag = ttag;
    pdu.r2to = offset;
    pdu.r2tl = length;
    return seal(to_bytes(pdu), {});
  }
  Bytes termination(tcp::Fes fes, uint32_t fei) const {
    tcp::TermReq pdu{};
    pdu.ch = {.type = 3, .flags = 0, .hlen = 24, .pdo = 0, .plen = 24u};
    pdu.fes = uint16_t(fes);
    pdu.fei = fei;
    return to_bytes(pdu);
  }
  /// `header` with its lengths, flags and digests made right, and `payload` behind it.
  Bytes seal(Bytes header, std::span<const std::byte> payload) const {
    tcp::CommonHeader ch;
    std::memcpy(&ch, header.data(), sizeof ch);
    const size_t start = header.size() + (digests.header ? 4 : 0);
    if (digests.header) ch.flags |= tcp::kFlagHdgst;
    if (digests.data && !payload.empty()) ch.flags |= tcp::kFlagDdgst;
    ch.pdo = payload.empty() ? uint8_t{0} : uint8_t(start);
    ch.plen = uint32_t(start + payload.size() + (digests.data && !payload.empty() ? 4 : 0));
    std::memcpy(header.data(), &ch, sizeof ch);
    if (digests.header) append_le32(header, crc32c(header));
    header.insert(header.end(), payload.begin(), payload.end());
    if (digests.data && !payload.empty()) append_le32(header, crc32c(payload));
    return header;
  }

  template <WireStruct T>
  static Bytes to_bytes(const T& value) {
    const auto bytes = bytes_of(value);
    return {bytes.begin(), bytes.end()};
  }
  static void append_le32(Bytes& bytes, uint32_t value) {
    const size_t end = bytes.size();
    bytes.resize(end + 4);
    store_le32(bytes.data() + end, value);
  }
};

/// Keeps what it is told.
class KeptCommand final : public Command {
 public:
  void on_completed(const nvme::Cqe& completion) override {
    cqe = completion;
    ++completions;
  }
  nvme::Cqe cqe{};
  int completions = 0;
};

/// A connection with hand-driven bytes in the place of a socket.
class Wire final : public net::Outlet, public QueueEvents {
 public:
  explicit Wire(const QueueOptions& options) : pdus{options.digests}, connection(options, *this) { connection.attach(*this); }
  ~Wire() { close(); }

  void wants_send() override { ++wishes_to_send; }
  void on_open() override { ++opened; }
  void on_closed(const Error& why) override {
    ++closed;
    reason = why.what();
  }

  /// Sends ICReq and receives ICResp.
  void shake_hands() {
    drain();
    feed(pdus.icresp());
  }
  /// Gives the bytes to the connection in pieces of at most `piece`, through direct() where that is offered.
  void feed(std::span<const std::byte> bytes, size_t piece = SIZE_MAX) {
    while (!bytes.empty() && connection.wish() == net::Wish::kStay) {
      auto now = bytes.first(std::min(piece, bytes.size()));
      bytes = bytes.subspan(now.size());
      if (const auto direct = connection.direct(); !direct.empty()) {
        const size_t landed = std::min(direct.size(), now.size());
        std::memcpy(direct.data(), now.data(), landed);
        connection.direct_received(landed, {});
        now = now.subspan(landed);
      }
      partial_.insert(partial_.end(), now.begin(), now.end());
      if (partial_.empty()) continue;
      const size_t used = connection.received(partial_, {});
      partial_.erase(partial_.begin(), partial_.begin() + ptrdiff_t(used));
    }
    if (connection.wish() == net::Wish::kClose) close();
  }
  /// Everything that the connection wants to send, taken in pieces of at most `piece` bytes.
  Bytes drain(size_t piece = SIZE_MAX) {
    Bytes all;
    while (connection.has_pending()) {
      std::array<iovec, 7> room;
      size_t left = piece;
      size_t taken = 0;
      for (const iovec& part : connection.pending(room)) {
        const size_t count = std::min(part.iov_len, left);
        const auto* first = static_cast<const std::byte*>(part.iov_base);
        all.insert(all.end(), first, first + count);
        left -= count;
        taken += count;
      }
      connection.sent(taken, {});
    }
    return all;
  }
  void close() {
    if (closed == 0) connection.on_closed({net::Closing::Reason::kPeer});
  }

  TargetPdus pdus;
  int opened = 0;
  int closed = 0;
  int wishes_to_send = 0;
  std::string reason;
  TcpConnection connection;

 private:
  Bytes partial_;
};

inline uint16_t cid_of(const Bytes& capsule) { return load_le16(capsule.data() + offsetof(tcp::CapsuleCmd, sqe) + 2); }

}  // namespace weft::host::testing_support
