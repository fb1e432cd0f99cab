// A passive reader of everything that a host and a target ask of their devices on one connection: the wire monitor's sister for RDMA. It judges what
// each side posts against what that side had received by then, tells WireEvents what it reads, and reports the first broken rule to the referee.
// Knows the specification and nothing of transport/ and host/. Owned by the connection of the simulated fabric. NVMe/RDMA Transport 1.0a §2, §3.
#pragma once
#include "sim/agenda.h"
#include "sim/checkers/wire_events.h"
#include "sim/referee.h"
#include "verbs/memory_tap.h"
#include "wire/nvme/command.h"
#include "wire/rdma/segment.h"

#include <deque>
#include <fmt/format.h>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace weft::sim {

class RdmaMonitor final : public verbs::MemoryTap {
 public:
  /// `reads_max`: READs that the target may have outstanding, as the connection manager has settled. The connection is accepted. Outlives: agenda,
  /// referee and events outlive the monitor.
  RdmaMonitor(WireQueue queue, uint16_t reads_max, const Agenda& agenda, Referee& referee, WireEvents& events);

  void on_posted(End by, const ibv_send_wr& request, std::span<const std::byte> message) override;
  void on_received(End by, std::span<const std::byte> message) override;
  void on_done(End by, const ibv_send_wr& request, std::span<const std::byte> fetched) override;
  void on_ended(End by) override;

 private:
  /// A command from when the host posts its capsule until the host has polled its response.
  struct Record {
    nvme::Sqe sqe;
    nvme::DataDirection direction{};
    std::vector<rdma::Segment> segments;  // of the host's memory
    uint32_t length = 0;                  // of its data
    uint32_t in_capsule_bytes = 0;
    bool has_arrived = false;
    Instant arrived_at{};
    uint32_t asked = 0;    // bytes that READs were posted for
    uint32_t fetched = 0;  // bytes that the target knows to have come
    uint32_t given = 0;    // bytes that WRITEs were posted for
    bool is_answered = false;
    std::vector<std::byte> connect_data;  // of a Connect, as far as it has come
  };

  // The host's.
  void on_capsule(std::span<const std::byte> capsule);
  std::string read_sgl(Record& record, std::span<const std::byte> after_sqe) const;
  // The target's.
  void on_write(const ibv_send_wr& request);
  void on_read(const ibv_send_wr& request);
  void on_response(const ibv_send_wr& request, std::span<const std::byte> message);
  bool is_success_right(const Record& record, uint16_t cid);
  bool is_invalidation_right(const Record* record, const ibv_send_wr& request);

  /// The open command whose data goes on with that piece of the host's memory, `moved` bytes of it being under way; null: none.
  Record* find_transfer(const ibv_send_wr& request, nvme::DataDirection direction, uint32_t Record::*moved);
  Record* find_open(uint16_t cid);

  template <typename... Args>
  bool broken(End by, fmt::format_string<Args...> format, Args&&... args) {
    report(by, fmt::format(format, std::forward<Args>(args)...));
    return false;
  }
  void report(End by, std::string_view what);

  WireQueue queue_;
  uint16_t reads_max_;
  const Agenda& agenda_;
  Referee& referee_;
  WireEvents& events_;
  std::map<uint16_t, Record> commands_;  // by CID
  std::deque<uint16_t> reads_;           // CIDs of READs that the target does not know to be done, in order
  uint64_t target_posted_ = 0;           // work requests that it does not know to be done
  bool is_over_ = false;
};

}  // namespace weft::sim
