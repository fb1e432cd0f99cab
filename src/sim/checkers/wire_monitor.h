// A passive decoder of every byte between one host and one target, both ways. It judges what each side has sent against
// what that side had received by then, tells WireEvents what it reads, and reports the first broken rule to the
// referee. Knows the specification and nothing of transport/ and host/. Owned by the connection of the simulated
// network. NVMe/TCP 1.0a §3.
//   wire_monitor.cc: bytes to PDUs, handshake, the end      wire_host_rules.cc, wire_target_rules.cc: the rest
#pragma once
#include "sim/checkers/wire_events.h"
#include "sim/checkers/wire_lane.h"
#include "sim/checkers/wire_ledger.h"
#include "sim/referee.h"

#include <fmt/format.h>
#include <string_view>
#include <utility>

namespace weft::sim {

class WireMonitor final : public WireTap {
 public:
  /// Outlives: referee and events outlive the monitor.
  WireMonitor(WireQueue queue, Referee& referee, WireEvents& events)
      : queue_(std::move(queue)), referee_(referee), events_(events) {}

  void on_sent(Side from, std::span<const std::byte> bytes, Instant now) override;
  void on_received(Side by, std::span<const std::byte> bytes, Instant now) override;
  void on_closed(Side by, Instant now) override;
  void on_finished(Side by, Instant now) override;
  bool is_under_digests(Side from) const override;

 private:
  /// What one side has done.
  struct End {
    WireLane lane;  // what it sends
    bool has_finished = false;
    bool has_closed = false;
    bool has_sent_init = false;  // ICReq, ICResp: its header
    bool has_init_left = false;  // all of it
    bool has_terminated = false;
    bool has_peer_init = false;  // has received the other side's ICReq or ICResp
    Instant drained_at{};        // when the last byte in flight was received
  };
  End& end(Side side) { return ends_[size_t(side)]; }
  const End& end(Side side) const { return ends_[size_t(side)]; }

  // Bytes sent, by stage; false: more bytes are needed, or the run is over.
  bool step(Side from, Instant now);
  bool on_common_header(Side from, std::span<const std::byte> bytes);
  bool on_header(Side from, std::span<const std::byte> bytes, Instant now);
  bool on_whole(Side from, std::span<const std::byte> bytes);
  bool is_in_order(Side from, tcp::PduType type);
  bool judge(Side from, const WireFrame& frame, std::span<const std::byte> header, Instant now);
  void arrived(Side by, const WireArrival& arrival, Instant now);

  bool on_ic_req(const tcp::IcReq& pdu);
  bool on_ic_resp(const tcp::IcResp& pdu, Instant now);
  bool on_termination(Side from, const tcp::TermReq& pdu);
  bool is_echo_right(Side from, const WireFrame& frame, std::span<const std::byte> bytes);

  // wire_host_rules.cc
  bool on_capsule(const nvme::Sqe& sqe, const WireFrame& frame, Instant now);
  bool is_sgl_right(const nvme::Sqe& sqe, const WireFrame& frame);
  bool on_h2c_data(const tcp::DataPdu& pdu, const WireFrame& frame);
  void capsule_arrived(const WireArrival& arrival, Instant now);
  void h2c_data_arrived(const WireArrival& arrival);

  // wire_target_rules.cc
  bool on_c2h_data(const tcp::DataPdu& pdu, const WireFrame& frame, Instant now);
  bool on_r2t(const tcp::R2t& pdu, Instant now);
  bool on_response(const nvme::Cqe& cqe, Instant now);
  bool is_success_right(const WireRecord& record);
  void answered(WireRecord& record, uint16_t cid);
  void connected(const WireRecord& record, const nvme::Cqe& cqe, Instant now);
  Instant earliest_completion(const WireRecord* record, Instant now) const;
  void r2t_arrived(const tcp::R2t& pdu);

  /// Reports what `side` has done wrong; nothing is judged any more. Returns false.
  template <typename... Args>
  bool broken(Side side, fmt::format_string<Args...> format, Args&&... args) {
    report(side, fmt::format(format, std::forward<Args>(args)...));
    return false;
  }
  void report(Side side, std::string_view what);

  WireQueue queue_;
  Referee& referee_;
  WireEvents& events_;
  std::array<End, 2> ends_;
  WireSession session_;
  uint8_t dgst_asked_ = 0;
  WireLedger ledger_;
  bool was_idle_ = false;  // nothing kept the target's bytes waiting when it sent these
  bool is_over_ = false;
};

}  // namespace weft::sim
