// The target: its shards, subsystems and listeners. Built and started by app/ (or a test, or the simulator), changed on its home reactor.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "nvmf/bounded.h"
#include "nvmf/shard.h"

namespace weft::nvmf {

class Target {
 public:
  struct ShardResources {
    Reactor& reactor;
    MemorySource& memory;
  };
  /// The first shard's reactor becomes the home reactor. The discovery subsystem is there from the start. Errors: kLimit.
  static Result<std::unique_ptr<Target>> create(const Limits& limits, std::span<const ShardResources> shards);
  /// Requires: stop() has called back, every connection is destroyed; no reactor runs.
  ~Target();

  const Limits& limits() const { return limits_; }
  std::vector<std::unique_ptr<Shard>>& shards() { return shards_; }
  Reactor& home() { return shards_.front()->reactor(); }
  /// On the home reactor.
  const std::vector<std::unique_ptr<Subsystem>>& subsystems() const { return subsystems_; }
  Subsystem& discovery() { return *subsystems_.front(); }

  // --- before the reactors run, on any thread -------------------------------------------------------------------------------------------
  /// Errors: kExists.
  Result<Subsystem*> add_subsystem(SubsystemConfig config);
  void set_listeners(std::vector<ListenerRecord> listeners);

  /// When the target was created: power-on hours count from here. Any thread.
  Instant created() const { return created_; }

  // --- on the home reactor --------------------------------------------------------------------------------------------------------------
  // None of these waits for a command of anybody else. Who removes waits for commands that a device has, and is told kTimedOut after
  // limits.removal_ms: then what was removed is hidden already, and goes when the device lets go of it.

  /// Shows the namespace to every shard, then to the hosts (an asynchronous event); `done` gets the first error, if any, in which case the
  /// namespace is gone again. While its device is away (bdev::Bdev::watch()), hosts do not see it: what the device had not made stable may be lost, and
  /// they are to know. Errors: kExists, kLimit, kNotFound (the subsystem goes), the device's.
  void add_namespace(Subsystem& subsystem, uint32_t nsid, NamespaceIdentity identity, std::unique_ptr<bdev::Bdev> bdev, Done done);
  /// Hides it from the hosts, waits for its commands, closes the device. Errors: kNotFound, kBusy (it comes or goes already), kTimedOut.
  void remove_namespace(Subsystem& subsystem, uint32_t nsid, Done done);
  /// Gives it another number of blocks (which also happens by itself, when the device says that it has another size), as many as its device has at most, and tells the hosts. Commands beyond the new end fail with LBA Out of
  /// Range; those that a device has then end as if nothing had happened, maybe after `done`. Errors: kNotFound, kBusy, kInvalid, kLimit, the
  /// device's.
  void resize_namespace(Subsystem& subsystem, uint32_t nsid, uint64_t block_count, Done done);
  /// It serves again after a flush has failed: an administrator knows that what was lost does not matter. Errors: kNotFound, kBusy.
  Result<void> clear_failure(Subsystem& subsystem, uint32_t nsid);
  /// Ends the associations of hosts that are not allowed any more; `done` when every queue of theirs is gone. Errors: kNotFound.
  void set_access(Subsystem& subsystem, HostAccess access, Done done);
  /// What the discovery log shows; `done` when every shard shows it. Connections of a listener that is gone go on.
  void set_listeners(std::vector<ListenerRecord> listeners, std::move_only_function<void()> done);
  /// `done` when hosts can connect to it. Errors: kExists.
  void add_subsystem(SubsystemConfig config, std::move_only_function<void(Result<Subsystem*>)> done);
  /// Hides it, ends its associations, removes its namespaces; when `done` has success, `subsystem` is gone. Its name is free at once.
  /// Errors: kNotFound (it goes already), kInvalid (the discovery subsystem), kTimedOut.
  void remove_subsystem(Subsystem& subsystem, Done done);
  /// Stops taking commands, finishes what executes within limits.shutdown_ms, closes every connection; `done` when the last queue is gone.
  void stop(std::move_only_function<void()> done);

  /// Calls on_shard(shard) on every shard's reactor, then `then` on the home reactor. From the home reactor.
  void on_every_shard(std::function<void(Shard&)> on_shard, std::move_only_function<void()> then);

 private:
  /// Something that every shard does, and what comes then.
  struct Gathering {
    std::function<void(Shard&)> on_shard;
    std::move_only_function<void()> then;
    size_t missing;
  };
  using Gatherings = std::list<Gathering>;

  Target(const Limits& limits, Instant now) : limits_(limits), created_(now) {}
  Gatherings::iterator gather(std::function<void(Shard&)> on_shard, std::move_only_function<void()> then);
  void one_has_answered(Gatherings::iterator gathering);
  void watch_stop();

  // reconfigure.cc
  void announce(Subsystem& subsystem, uint32_t nsid);
  void watch_device(Subsystem& subsystem, Namespace& ns);
  void device_changed(uint32_t subsystem, uint32_t nsid);
  void hide(Subsystem& subsystem, Namespace& ns, const Error& why);
  void show(Subsystem& subsystem, Namespace& ns);
  void withdraw(Subsystem& subsystem, uint32_t nsid, Done done);
  void change_discovery(std::function<void(Shard&)> on_shard, std::move_only_function<void()> then);
  void end_associations(Subsystem& subsystem, CloseReason reason, std::move_only_function<void()> then);
  Result<Subsystem*> create_subsystem(SubsystemConfig config);
  void remove_namespaces(Subsystem& subsystem, Done done);

  Limits limits_;
  Instant created_;
  DiscoveryFacts discovery_facts_;
  uint32_t next_subsystem_ = 1;  // index
  Gatherings gatherings_;
  std::vector<std::unique_ptr<Subsystem>> subsystems_;  // the discovery subsystem first
  std::vector<std::unique_ptr<Shard>> shards_;          // die before the subsystems they view
  std::move_only_function<void()> on_stopped_;
  Timer stop_watch_ = Timer::calling<&Target::watch_stop>(this);
};

}  // namespace weft::nvmf
