// What the target has on one reactor: its share of slots and buffers, its views of subsystems and namespaces, and every queue and controller
// that lives there. All calls on its reactor.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/buffer_pool.h"
#include "core/limits.h"
#include "core/reactor.h"
#include "nvmf/accounts.h"
#include "nvmf/listener_record.h"
#include "nvmf/queue.h"
#include "nvmf/subsystem.h"

namespace weft::nvmf {

class Controller;
class Target;

class Shard {
 public:
  /// Errors: kLimit when memory cannot be had. On any thread before the reactor runs.
  static Result<std::unique_ptr<Shard>> create(Target& target, size_t index, Reactor& reactor, MemorySource& memory);
  ~Shard();

  Target& target() { return target_; }
  size_t index() const { return index_; }
  Reactor& reactor() { return reactor_; }
  /// The target's home reactor: the shard with index 0.
  Reactor& home();
  const Limits& limits() const { return limits_; }
  BufferPool& buffers() { return *buffers_; }
  Accounts& accounts() { return accounts_; }
  SlotPool& slots() { return slots_; }

  /// Opens the shard's channel to `ns` and shows it to the queues. Errors: what the device says.
  Result<void> add_namespace(Subsystem& subsystem, Namespace& ns);
  /// Hides the namespace, if it is not hidden; calls `done` when the last command on it is over and its channels are closed.
  void remove_namespace(Subsystem& subsystem, uint32_t nsid, std::move_only_function<void()> done);
  /// Queues of the shard are held to another size from now on. Nothing when the namespace is gone.
  void resize_namespace(Subsystem& subsystem, uint32_t nsid, uint64_t block_count);

  void add_view(Subsystem& subsystem, HostAccess access);
  /// Requires: no namespace and no controller of it is left here.
  void remove_view(Subsystem& subsystem);
  /// Requires: add_view() was called, remove_view() was not.
  SubsystemView& view(Subsystem& subsystem);
  /// The NVM or discovery subsystem of that name that hosts may connect to, or null.
  SubsystemView* find_subsystem(std::string_view nqn);
  const std::vector<std::unique_ptr<SubsystemView>>& views() const { return views_; }
  const DiscoveryFacts& discovery() const { return discovery_; }
  void set_discovery(DiscoveryFacts facts) { discovery_ = std::move(facts); }

  void freeze(uint32_t subsystem, uint32_t nsid, BlockRange range, std::move_only_function<void()> drained);
  void thaw(uint32_t subsystem, uint32_t nsid);

  void add(Queue& queue);
  void remove(Queue& queue);
  size_t queue_count() const { return queue_count_; }
  template <typename F>
  void for_each_queue(F&& f) {
    queues_.for_each(f);
  }
  Controller& add(std::unique_ptr<Controller> controller);
  size_t controller_count() const { return controllers_.size(); }
  /// Destroys it.
  void remove(Controller& controller);

  /// Takes over a chunk whose commands are all quarantined.
  void adopt(SlotChunk* chunk);
  /// The device gave the Io of a command without queue back.
  void quarantine_ended(Command& command);

  /// Whether a device still holds an Io of a queue or a controller that is gone: then its channel must not be destroyed.
  bool has_io_in_device() const;
  /// Waits for devices no longer on behalf of `controllers`: what their queues without connection have there counts as late from now on. False:
  /// a queue of theirs has its connection still, and may bring commands.
  bool give_up(std::span<const ControllerId> controllers);

  /// Every queue stops taking commands and closes when it is quiet, at the latest at `deadline`.
  void stop(Instant deadline);
  /// Whether stop() has come to its end: no queue is left, and no device holds anything, or has had its time.
  bool has_stopped() const;
  bool is_stopping() const { return is_stopping_; }

 private:
  Shard(Target& target, size_t index, Reactor& reactor, std::unique_ptr<BufferPool> buffers, SlotPool slots);
  NamespaceView* find_view(uint32_t subsystem, uint32_t nsid);
  void tell_removed(uint32_t subsystem, uint32_t nsid);
  /// Commands that have been with a device for `patience`.
  void time_out(Queue& queue, Duration patience);
  void watch_time();
  void watch_stop();

  Target& target_;
  const Limits& limits_;  // the target's
  size_t index_;
  Reactor& reactor_;
  std::unique_ptr<BufferPool> buffers_;
  Accounts accounts_{*buffers_};
  SlotPool slots_;
  std::vector<std::unique_ptr<SubsystemView>> views_;  // in the order in which they came
  DiscoveryFacts discovery_;
  struct Removal {
    uint32_t subsystem;  // index
    uint32_t nsid;
    std::move_only_function<void()> done;
  };
  std::vector<std::unique_ptr<NamespaceView>> leaving_;  // removed, commands still on them
  std::vector<Removal> removals_;                        // who waits for them
  IntrusiveList<Queue, &Queue::shard_link> queues_;
  size_t queue_count_ = 0;
  std::vector<std::unique_ptr<Controller>> controllers_;
  std::vector<SlotChunk*> quarantine_;
  bool is_stopping_ = false;
  Instant stop_deadline_{};
  Timer time_watch_ = Timer::calling<&Shard::watch_time>(this);
  Timer stop_watch_ = Timer::calling<&Shard::watch_stop>(this);
};

}  // namespace weft::nvmf
