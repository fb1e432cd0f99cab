// One NVMe controller: bring-up, queues, events, recovery and shutdown, all in one coroutine on the controller's home reactor, so that no two of
// them happen at once. What has to be done is noted (by messages, events, timers) and done in turn, the most urgent first:
//
//   start() ─► bring-up ─► [reset] [delete a hanging queue] [abort] [give back a queue] [open a queue] [namespaces changed] … ─stop()─► shutdown
//
// The ladder for a command that is late: Abort; Delete I/O Submission Queue, and a new one; controller reset (CC.EN); and where that does not help,
// pci::Function::isolate(). After the last two, and after the queue's deletion, the device reaches no memory of commands: only then are they told
// to have ended without an answer. A controller that cannot be brought up again has failed for good: its queues refuse everything, at once.
// Owned by who opened the device; lives until stop() has ended. NVMe Base 2.0 §3.5 (initialisation), §3.6 (shutdown), §3.7 (resets), §9.5 (errors).
#pragma once
#include <algorithm>
#include <concepts>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/elsewhere.h"
#include "core/metrics.h"
#include "core/task.h"
#include "nvme/admin_queue.h"
#include "nvme/facts.h"
#include "nvme/io_queue.h"
#include "nvme/work_signal.h"
#include "wire/nvme/log_pages.h"

namespace weft::nvme {

struct ControllerOptions {
  uint32_t io_entries = 256;              // of each I/O queue, if the controller can
  uint32_t io_queues = 64;                // as many are asked for
  Duration command_time = seconds(8);     // until a command is late, and again until its abort is
  Duration admin_time = seconds(10);      // until an admin command is late, which means a reset
  Duration shutdown_time = seconds(10);   // if the controller does not say how long it takes (RTD3E)
  Duration look_time = seconds(1);        // between looks at CSTS while it is used
};

/// What has gone wrong so far; any thread may read.
struct ControllerCounters {
  Counter aborts;
  Counter queue_deletions;
  Counter resets;
};

class Controller {
 public:
  enum class State : uint8_t { kDown, kStarting, kLive, kRecovering, kFailed, kStopped };

  /// Outlives: `home` and `function` outlive the controller.
  Controller(Reactor& home, pci::Function& function, const ControllerOptions& options);
  /// Requires: never started, or stopped.
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // --- on the home reactor -----------------------------------------------------------------------------------------------
  /// Brings it up; `on_started` is called once. After an error it is down for good, and stop() is still to be called.
  void start(std::move_only_function<void(Result<void>)> on_started);
  /// Shuts it down, in bounded time; `on_stopped` is called when the device reaches none of our memory any more.
  /// Requires: start() was called; every queue was given back, and what gave it back was delivered.
  void stop(std::move_only_function<void()> on_stopped);
  /// `on_changed` is called whenever namespaces() was read again, or when the controller has failed for good. Empty: nobody is told any more.
  void watch(std::move_only_function<void()> on_changed) { on_changed_ = std::move(on_changed); }
  State state() const { return state_; }
  /// What it is; from on_started with success on.
  const ControllerFacts& facts() const { return facts_; }
  std::span<const NamespaceFacts> namespaces() const { return namespaces_.usable; }
  /// Why a namespace cannot be used, or is not there.
  Result<NamespaceFacts> find_namespace(uint32_t nsid) const;

  struct LogRequest {
    LogPage page;
    uint32_t nsid;   // kNsidAll: the controller's
    uint32_t bytes;  // from its beginning; a multiple of four, at most kLogBytesMax
  };
  static constexpr uint32_t kLogBytesMax = 4096;
  using LogDone = std::move_only_function<void(Result<std::vector<std::byte>>)>;
  /// What the controller has in a log page. `done` is called once, maybe at once. Errors: kLimit (too many ask), kClosed (given up, or stopped),
  /// kTimedOut, kIo with the controller's status.
  void read_log(const LogRequest& request, LogDone done);

  // --- any reactor -------------------------------------------------------------------------------------------------------
  /// A queue for `reactor`, on which the caller runs; it goes live later, or fails when the controller grants no more. Errors: kLimit.
  /// Requires: on_started has come with success. Outlives: the client outlives the handle.
  Result<IoQueueHandle> open_queue(Reactor& reactor, IoQueueClient& client);
  /// Something may be wrong with the device (an error interrupt, a removal): it is looked at soon.
  void look();
  const ControllerCounters& counters() const { return counters_; }
  pci::Function& function() { return function_; }

 private:
  friend class IoQueue;
  // Called on a queue's reactor.
  void give_back(IoQueue& queue);
  void report_late(IoQueue& queue, const QueuePair::Overdue& late);
  void report_broken(IoQueue& queue, const char* why);

  using Done = Result<void>;
  struct Refused {
    uint32_t nsid;
    Error why;
  };
  struct Namespaces {
    std::vector<NamespaceFacts> usable;
    std::vector<Refused> refused;  // the others
  };
  // controller.cc: what is to be done, and in which order.
  Task<Done> run();
  Task<Done> do_next();
  Task<Done> recover();
  Task<Done> try_to_recover();
  Task<Done> fail_for_good(Error why);
  void look_at_device();
  void on_event(uint32_t dw0);
  void want_reset(std::string_view why);

  // bring_up.cc: CC and CSTS, Identify, features.
  Task<Done> bring_up();
  Task<Done> enable();
  Task<Done> disable();
  Task<Done> shut_down();
  Task<Done> wait_for(uint32_t mask, uint32_t wanted, Duration time);
  Task<Done> identify_controller();
  Task<Done> read_namespaces();
  Task<Done> read_namespace(uint32_t nsid);
  void tell_changed();
  Task<Done> namespaces_changed();
  Task<Done> set_up_queues();
  Task<Done> set_up_events();
  Task<Done> identify(Cns cns, uint32_t nsid, uint8_t csi);
  Task<Result<uint32_t>> run_admin(Sqe sqe);
  Done prepare();
  Duration ready_time();
  uint64_t read64(uint32_t offset);
  void write64(uint32_t offset, uint64_t value);

  // logs.cc: log pages that others ask for.
  Task<Done> read_next_log();
  Task<Result<uint32_t>> get_log_page(LogRequest request);
  void end_log_reads();

  // queues.cc: I/O queues in the device.
  Task<Done> create(IoQueue& queue);
  Task<Done> remove(IoQueue& queue);
  Task<Done> open(IoQueue& queue);
  Task<Done> refuse(IoQueue& queue);
  Task<Done> abort(IoQueue& queue);
  Task<Done> delete_and_renew(IoQueue& queue);
  Task<Done> destroy(IoQueue& queue);
  Task<Done> halt_queues();
  Task<Done> end_queues();
  uint16_t free_qid() const;
  /// The first one of which the notes are such, or null.
  template <std::predicate<const IoQueue::Notes&> P>
  IoQueue* find_queue(P wanted) const {
    const auto found = std::ranges::find_if(queues_, [&](const auto& queue) { return wanted(queue->notes); });
    return found == queues_.end() ? nullptr : found->get();
  }

  Reactor& home_;
  pci::Function& function_;
  ControllerOptions options_;
  State state_ = State::kDown;
  Cap cap_;
  ControllerFacts facts_;
  Namespaces namespaces_;
  Namespaces reading_;  // until all are read
  uint32_t queues_granted_ = 0;
  std::optional<AdminQueue> admin_;
  pci::DmaBuffer identify_page_;
  pci::DmaBuffer shadow_pages_;  // values, then events
  ShadowDoorbells shadows_;

  struct LogRead {
    LogRequest request;
    LogDone done;
  };
  std::deque<LogRead> log_reads_;
  std::vector<std::unique_ptr<IoQueue>> queues_;  // in the order in which they were asked for
  ControllerCounters counters_;

  WorkSignal work_{home_};
  bool wants_reset_ = false;
  bool wants_namespaces_ = false;
  bool wants_stop_ = false;
  std::move_only_function<void(Result<void>)> on_started_;
  std::move_only_function<void()> on_stopped_;
  std::move_only_function<void()> on_changed_;
  std::optional<Task<Done>> running_;
  Timer look_timer_ = Timer::calling<&Controller::look_at_device>(this);
};

}  // namespace weft::nvme
