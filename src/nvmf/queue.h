// One NVMe queue pair of the target, admin or I/O, whatever transport carries it: takes commands in, decides what each may do, gets it a
// buffer, has it executed and hands the completion to the transport. Embedded in the transport's connection object; lives on its reactor from
// accept to TransportOps::on_detached(). NVMe Base 2.0 §3.3, §6; docs/life-of-a-write.md.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "base/intrusive_list.h"
#include "base/simulation.h"
#include "core/reactor.h"
#include "nvmf/accounts.h"
#include "nvmf/command_state.h"
#include "nvmf/error_note.h"
#include "nvmf/namespace_view.h"
#include "nvmf/slot_table.h"
#include "nvmf/transport_ops.h"

namespace weft::nvmf {

struct Admission;
class Controller;
class Shard;
struct SubsystemView;

enum class QueueState : uint8_t {
  kFresh,       // connected transport, no Connect yet
  kConnecting,  // a Connect is being decided (maybe on other reactors)
  kLive,
  kStopping,    // takes no new commands; what executes is finished, then the connection closes
  kDetached,    // the connection is gone; waits for its commands to come home
};

/// How a command was taken by Queue::submit().
enum class Submitted : uint8_t {
  kTaken,
  kStalled,  // no buffer for its in-capsule data: nothing has happened; keep the capsule, receive nothing more, submit again after resume()
};

/// What a live I/O queue knows of its controller; replaced by message when it changes.
struct QueueSettings {
  bool is_write_cache_enabled = true;  // feature 06h; false makes every write stable
};

class Queue final : private BufferWaiter {
 public:
  /// Outlives: the shard and `ops` outlive the queue.
  Queue(Shard& shard, TransportOps& ops, Origin origin);
  /// Requires: on_detached() was called, or detach() never was and no command was begun.
  ~Queue();

  // --- from the transport -------------------------------------------------------------------------------------------------------------
  /// A slot for an arrived command; null when the peer has more outstanding than the queue holds (the transport ends the connection: FES 2).
  Command* begin(const nvme::Sqe& sqe);
  /// Takes the command. `in_capsule` is borrowed for the call only. respond() may be called inside.
  /// Requires: command.state == kNew; in_capsule.size() == descriptor.length for kInCapsule.
  Submitted submit(Command& command, const DataDescriptor& descriptor, std::span<const std::byte> in_capsule);
  /// The data of start_receive() is there, or could not be had (a wrong digest: kTransientTransportError).
  void received(Command& command, nvme::Status status);
  /// The completion to send for `command`; advances SQHD: called once per response, in the order in which responses are sent.
  nvme::Cqe make_cqe(const Command& command);
  /// The response of respond() has left.
  void responded(Command& command);
  /// The command of a transfer tag while it is kReceiving, else null (an unknown or stale tag).
  Command* find_receiving(uint16_t tag);
  static uint16_t tag_of(const Command& command) { return SlotTable::tag_of(command); }
  /// Reads of more than `bytes` are not answered from lent media memory from now on: the transport needs them in a buffer. 0: none is.
  void lend_at_most(uint32_t bytes) { lent_max_ = bytes; }
  uint32_t lent_max() const { return lent_max_; }
  /// The connection is gone: nothing is sent or received any more, every command comes home; then ops.on_detached(). Once.
  void detach();

  // --- what the transport needs to know -----------------------------------------------------------------------------------------------
  QueueState state() const { return state_; }
  uint16_t qid() const { return qid_; }
  bool is_admin() const { return qid_ == 0; }
  /// Connect asked for it: SQHD is not kept and a C2HData may carry the SUCCESS flag.
  bool is_sq_flow_control_disabled() const { return is_sq_flow_control_disabled_; }
  /// Whether in-capsule data of so many bytes would find buffers now.
  bool has_in_capsule_room(size_t bytes) const;
  /// In-capsule data this queue takes for a command, bytes: 8192 for fabrics commands and on the admin queue, else limits.in_capsule_bytes.
  uint32_t in_capsule_max(const nvme::Sqe& sqe) const;
  const Origin& origin() const { return origin_; }
  uint32_t outstanding() const { return slots_.taken(); }

  // --- from the target's own rooms ----------------------------------------------------------------------------------------------------
  /// Ends a command: status and result are set; frees what it holds but the response's data, and hands it to the transport.
  void complete(Command& command, nvme::Status status, uint64_t result = 0);
  /// The same for a command in the call in which it was submitted: there is nothing yet that it could hold, or that could wait for it.
  void succeed_at_once(Command& command) {
    WEFT_ASSERT(command.state == CommandState::kNew);
    WEFT_CHECK_SLOW(command.view == nullptr && state_ == QueueState::kLive && command.queue == this && command.partner == nullptr && !command.holds_freeze &&
                    &command != fused_first_ && command.buffer.empty());
    command.status = nvme::status::kSuccess;
    command.result = 0;
    enter(command, CommandState::kResponding);
    ops_.respond(command);
  }
  /// Stops a command if that is possible now. True: it has been or will be completed with Command Abort Requested.
  bool abort(uint16_t cid);
  /// Takes no new commands; closes when what executes is done.
  void stop();
  bool is_quiet();
  void close(CloseReason reason);
  void apply(const QueueSettings& settings) { settings_ = settings; }
  const QueueSettings& settings() const { return settings_; }
  Shard& shard() { return shard_; }
  Controller* controller() { return controller_; }
  SubsystemView* subsystem() { return subsystem_; }
  /// Whom its buffers are charged to.
  BufferAccount& account() { return *account_; }
  /// A command has come or a completion goes: nothing else, data for example, holds keep-alive off. NVMe Base 2.0 §3.9.
  void heard() { last_activity_ = owner_.reactor().now(); }
  /// When it was last heard().
  Instant last_activity() const { return last_activity_; }
  /// Half of a fused pair: parked until the other half has its data; then the first, later the second is executed.
  void wait_partner(Command& command) { enter(command, CommandState::kWaitPartner); }
  void begin_pair(Command& command) { enter(command, CommandState::kExecuting); }
  /// A held Asynchronous Event Request: the event log owns it until it is completed or let go.
  void hold_event(Command& command) { enter(command, CommandState::kHeldEvent); }

  Link shard_link;       // in Shard: every queue that was not destroyed

 private:
  friend class Connector;  // connect.cc: decides a Connect and makes the queue live
  friend class IoRunner;   // io_runner.cc: executes I/O commands
  friend class Shard;
  friend struct Command;

  /// What the next command of an I/O queue may be.
  enum class Fused : uint8_t { kNone, kFirstWaits, kFirstFailed };

  void on_buffer(std::span<std::byte> buffer) override;  // the in-capsule buffer a stalled submit waits for
  std::span<std::byte> in_capsule_buffer(size_t size);
  void release_in_capsule_buffer();
  void join_account(ControllerId controller);
  void leave_account();
  static void enter(Command& command, CommandState next) {
    WEFT_ASSERT(may_follow(command.state, next));
    command.state = next;
  }
  enum class Ordinary : uint8_t { kNot, kRead, kWrite };
  /// Whether it is a Read or a Write as nearly all are, with nothing wrong and nothing unusual; then it is admitted. What this does not say, admit() does.
  Ordinary admit_ordinary(Command& command, const DataDescriptor& descriptor);
  /// What is wrong with the command before its data counts; for I/O commands also sets command.view's namespace and partner.
  nvme::Status admit(Command& command, const DataDescriptor& descriptor);
  /// What does not end in submit(). `is_ordinary`: admit_ordinary() has said so.
  Submitted submit_with_care(Command& command, const DataDescriptor& descriptor, std::span<const std::byte> in_capsule, bool is_ordinary);
  nvme::Status check_data(const DataDescriptor& descriptor, const Admission& admission) const;
  nvme::Status pair(Command& command, nvme::Status admitted);
  void doom(Command& command, nvme::Status why);
  void leave_pair(Command& command);
  Share share_for(const Command& command) const;
  void want_buffer(Command& command);
  void buffer_ready(Command& command, std::span<std::byte> buffer);
  void execute(Command& command);
  void execute_fabrics(Command& command);
  void disconnect(Command& command);
  void finish_disconnect();
  void answer(Command& command) {
    if (!WEFT_PLANTED("keep-alive-deaf-to-completions")) heard();
    enter(command, CommandState::kResponding);
    ops_.respond(command);
  }
  void release_buffers(Command& command) {
    if (!command.buffer.empty() || !command.scratch.empty()) free_buffers(command);
    command.data = {};
    command.response_data = {};
  }
  void free_buffers(Command& command);
  /// The command needs its namespace no more.
  static void let_go(Command& command) {
    if (NamespaceView* view = std::exchange(command.target_view, nullptr)) view->release();
  }
  void free(Command& command);
  void one_less(const Command& freed);
  void drop(Command& command);
  void time_out(Command& command);
  static void late_io_done(Command& command);
  /// Adds a failed command to its controller's error log, unless More says that it is there.
  void log_error(Command& command);
  void come_home();

  OnReactor owner_;
  Shard& shard_;
  TransportOps& ops_;
  Origin origin_;
  QueueState state_ = QueueState::kFresh;
  Fused fused_ = Fused::kNone;
  uint16_t qid_ = 0;
  uint16_t sqhd_ = 0;
  bool is_sq_flow_control_disabled_ = false;
  uint32_t lent_max_ = UINT32_MAX;  // bytes
  bool is_closing_ = false;  // the transport was asked to close
  bool is_leaving_ = false;  // told the controller that it goes
  bool is_ending_ = false;   // detached, or a Disconnect waits: the last command to go is waited for
  QueueSettings settings_;
  Controller* controller_ = nullptr;
  SubsystemView* subsystem_ = nullptr;
  BufferAccount* account_;
  std::optional<ControllerId> payer_;        // none: charged to the shard's strangers
  Command* fused_first_ = nullptr;          // with kFirstWaits: admitted, waits for its second
  Command* disconnect_ = nullptr;           // a Disconnect that waits for all other commands
  std::span<std::byte> in_capsule_buffer_;  // for the capsule that stalled
  SlotTable slots_;
  ErrorNote error_note_;
  Instant last_activity_{};
};

}  // namespace weft::nvmf
