// A controller: what one association of a host sees. Lives on the reactor of its admin queue, from the admin Connect until every queue of it is
// gone. Holds properties, features, events, logs and the list of its I/O queues, wherever those live. NVMe Base 2.0 §3.1, §3.5, §3.9.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/reactor.h"
#include "nvmf/async_events.h"
#include "nvmf/changed_namespaces.h"
#include "nvmf/discovery_log.h"
#include "nvmf/error_log.h"
#include "nvmf/features.h"
#include "nvmf/keep_alive.h"
#include "nvmf/queue.h"
#include "nvmf/shutdown_flush.h"
#include "nvmf/subsystem.h"
#include "wire/nvme/registers.h"

namespace weft::nvmf {

class Shard;

class Controller {
 public:
  Controller(Shard& shard, SubsystemView& view, HostIdentity host, Queue& admin_queue);
  /// Requires: no queue is left.
  ~Controller();

  Shard& shard() { return shard_; }
  Reactor& reactor();
  const Limits& limits() const;
  SubsystemView& view() { return view_; }
  Subsystem& subsystem() { return view_.subsystem; }
  bool is_discovery() const { return view_.subsystem.is_discovery(); }
  const HostIdentity& host() const { return host_; }
  uint16_t cntlid() const { return cntlid_; }
  void set_cntlid(uint16_t cntlid) { cntlid_ = cntlid; }
  Queue* admin_queue() { return admin_queue_; }

  Features& features() { return features_; }
  AsyncEvents& events() { return events_; }
  ErrorLog& errors() { return errors_; }
  KeepAlive& keep_alive() { return keep_alive_; }
  ChangedNamespaces& changed_namespaces() { return changed_namespaces_; }
  /// The discovery log that the host is reading; none until it reads from offset 0.
  std::optional<DiscoveryLog>& discovery_log() { return discovery_log_; }

  // --- what happens elsewhere and the host may hear of --------------------------------------------------------------------------------------
  /// A namespace came, went or changed: goes into log page 04h and raises an event.
  void namespace_changed(uint32_t nsid) {
    changed_namespaces_.add(nsid);
    events_.raise(AsyncEvent::kNamespaceAttribute, features_.async_event_config);
  }
  /// The discovery log would read differently now.
  void discovery_changed() { events_.raise(AsyncEvent::kDiscoveryLog, features_.async_event_config); }

  // --- properties (property.cc) ---------------------------------------------------------------------------------------------------------
  uint64_t cap() const;
  uint32_t cc() const { return cc_; }
  uint32_t csts() const { return csts_; }
  bool is_ready() const { return (csts_ & nvme::Csts::kRdy) != 0; }
  /// Value of a property, or the status that the Property Get gets.
  std::expected<uint64_t, nvme::Status> get_property(uint32_t offset, uint32_t size) const;
  nvme::Status set_property(uint32_t offset, uint32_t size, uint64_t value);

  // --- queues ---------------------------------------------------------------------------------------------------------------------------
  struct IoQueue {
    uint16_t qid;
    Shard* shard;
    Queue* queue;
  };
  const std::vector<IoQueue>& io_queues() const { return io_queues_; }
  /// Number of I/O queues granted by feature 07h, limits.io_queues before it was set.
  uint16_t io_queues_granted() const { return io_queues_granted_; }
  void grant_io_queues(uint16_t count) { io_queues_granted_ = count; }
  /// Whether an I/O Connect may join now; success adds the queue.
  nvme::Status add_io_queue(uint16_t qid, Shard& shard, Queue& queue, uint32_t& result);
  /// The queue is home; it is destroyed after this by whoever posted it.
  void remove_io_queue(Queue& queue);
  /// Sends the settings that queues must know to all of them; `then` when every queue goes by them.
  void publish_settings(std::move_only_function<void()> then);

  /// One admin command of a live admin queue. complete() is called on it now or later.
  void execute(Command& command);

  /// Ends the association: closes every I/O queue, then the admin queue; the controller goes when they are gone. Idempotent.
  void end(CloseReason reason);
  /// The admin queue's connection is gone and its commands are home; `done` when the controller let go of it.
  void admin_queue_gone(std::move_only_function<void()> done);
  /// CFS: a fatal status that the host can see.
  void fail();

 private:
  void enable(nvme::Cc next);
  void disable();
  void shut_down();
  /// Closes every I/O queue, then runs `then`.
  void delete_io_queues(CloseReason reason, std::move_only_function<void()> then);
  void queues_changed();
  void reset_features();
  void reset_subsystem();
  void subsystem_was_reset();
  void release_events();
  void abort_command(Command& command);
  void association_idle();
  void arm_association_timer();

  OnReactor owner_;
  Shard& shard_;
  SubsystemView& view_;
  HostIdentity host_;
  Queue* admin_queue_;
  uint16_t cntlid_ = 0;
  uint32_t cc_ = 0;
  uint32_t csts_ = 0;
  uint16_t io_queues_granted_;
  bool is_ending_ = false;
  ShutdownFlush* shutdown_flush_ = nullptr;  // in progress
  bool is_disabling_ = false;  // CC.EN was cleared, CSTS.RDY is not yet
  uint32_t aborts_outstanding_ = 0;
  std::vector<IoQueue> io_queues_;
  std::vector<std::move_only_function<void()>> on_queues_gone_;
  std::move_only_function<void()> on_gone_;
  Features features_;
  AsyncEvents events_;
  ErrorLog errors_;
  KeepAlive keep_alive_;
  ChangedNamespaces changed_namespaces_;
  std::optional<DiscoveryLog> discovery_log_;
  Timer association_timer_ = Timer::calling<&Controller::association_idle>(this);
};

}  // namespace weft::nvmf
