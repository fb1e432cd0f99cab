// What a simulated host asks on its admin queue beside its I/O: Asynchronous Event Requests kept outstanding, with the log
// page of each event read; now and then Identify, Get Log Page, and Abort of an I/O command. Everything must succeed. Part
// of a Workload.
#pragma once
#include "base/prng.h"
#include "host/controller.h"
#include "sim/io_lane.h"

#include <functional>
#include <memory>
#include <vector>

namespace weft::sim {

class AdminChatter {
 public:
  struct Events {
    /// Identify Namespace has come.
    std::function<void(uint32_t nsid, const nvme::IdentifyNamespace& identity)> on_namespace;
    /// A command failed, or an answer makes no sense.
    std::function<void(const std::string& what)> on_wrong;
    /// A command was answered, or lost with the connection.
    std::function<void()> on_answered;
    std::function<void()> on_lost;
  };
  /// Outlives: the controller's queue ends the commands before the chatter dies.
  AdminChatter(host::Controller& controller, Events events);
  ~AdminChatter();

  /// Turns on the events that the controller has, and waits for them.
  void start(bool is_write_cache_enabled);
  /// Identify Namespace, for Events::on_namespace.
  void identify(uint32_t nsid);
  /// One of the things that a host asks, drawn.
  void ask_something(Prng& prng, uint32_t nsid);
  /// Aborts one of the requests that wait for events, or tries to.
  void abort_event_request();
  /// Aborts `command`, or tries to.
  void abort(IoCommand& command, uint16_t qid, size_t half);
  /// The volatile write cache is off: every write that is submitted from now on is stable.
  bool has_switched_cache_off() const { return is_cache_off_; }
  /// Whether an Abort for this identifier is outstanding: it may hit whoever has it now.
  bool is_aborting(uint16_t qid, uint16_t cid) const;
  /// What is outstanding, without Asynchronous Event Requests.
  size_t outstanding() const { return outstanding_; }
  void stop() { is_running_ = false; }

 private:
  class Call;
  static constexpr size_t kCallsMax = 8;   // leaves most of the admin queue to Keep Alive and to whoever else asks
  static constexpr size_t kEventsMax = 2;  // Asynchronous Event Requests

  size_t aborts_outstanding() const;
  Call* start_call(const nvme::Sqe& sqe, size_t in_bytes);
  void wait_for_event();
  void answered(Call& call, const nvme::Cqe& cqe);
  void event(const nvme::Cqe& cqe);

  host::Controller& controller_;
  Events events_;
  std::vector<std::unique_ptr<Call>> calls_;
  size_t outstanding_ = 0;
  size_t waiting_events_ = 0;
  bool is_cache_off_ = false;
  bool is_running_ = false;
};

}  // namespace weft::sim
