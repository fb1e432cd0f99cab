// One direction of a connection: its bytes from when they are sent until they are received, cut into PDUs as the sender
// meant them, and what the network has changed in them. Belongs to a WireMonitor. What is received lies where it was
// sent, so PDUs are cut once.
#pragma once
#include "sim/checkers/wire_frame.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace weft::sim {

/// How a PDU arrived.
struct WireArrival {
  WireFrame frame;
  std::span<const std::byte> bytes;  // as they were sent; lent for the call
  bool is_data_spoiled;
};

class WireLane {
 public:
  // The sender's end: append(), then the PDU in progress, stage by stage, until it lacks bytes.
  enum class Stage : uint8_t { kCommonHeader, kHeader, kData };
  void append(std::span<const std::byte> bytes);
  Stage stage() const { return stage_; }
  /// The bytes of the PDU in progress that were sent so far. Valid until append(), open(), close_pdu() or receive().
  std::span<const std::byte> in_progress() const;
  const WireFrame& frame() const { return *frame_; }
  void open(const WireFrame& frame);
  void header_done() { stage_ = Stage::kData; }
  void close_pdu();
  uint64_t sent() const { return base_ + bytes_.size(); }

  // The receiver's end.
  /// Calls `arrived` for each PDU that is complete with these bytes. After a spoiled header no PDU arrives any more:
  /// the receiver can only guess where the next one starts. Requires: so many bytes have been sent and not received.
  void receive(std::span<const std::byte> bytes, const std::function<void(const WireArrival&)>& arrived);
  uint64_t in_flight() const { return sent() - received_; }
  bool has_spoiled_header() const { return has_spoiled_header_; }
  bool has_spoiled_data() const { return has_spoiled_data_; }
  /// The first bytes of the PDU whose header was spoiled, as they were received.
  std::span<const std::byte> spoiled_head() const { return std::span(head_).first(head_size_); }

 private:
  struct Known {
    uint64_t begin;
    WireFrame frame;
  };
  void take(std::span<const std::byte> bytes);
  void note_change(uint64_t offset, const WireFrame* frame);
  void forget_old();
  const std::byte* at(uint64_t position) const { return bytes_.data() + (position - base_); }

  std::vector<std::byte> bytes_;
  uint64_t base_ = 0;  // position of bytes_[0] in the stream
  Stage stage_ = Stage::kCommonHeader;
  uint64_t sending_ = 0;  // where the PDU in progress begins
  std::optional<WireFrame> frame_;
  std::deque<Known> known_;  // PDUs with a frame that have not arrived whole
  uint64_t receiving_ = 0;   // where the PDU begins whose bytes arrive
  uint64_t received_ = 0;
  bool is_spoiled_ = false;  // the data of that PDU
  bool has_spoiled_header_ = false;
  bool has_spoiled_data_ = false;
  std::array<std::byte, tcp::kTermReqDataMax> head_{};
  size_t head_size_ = 0;
};

}  // namespace weft::sim
