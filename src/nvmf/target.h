// The target: its shards, subsystems and listeners. Built and started by app/ (or a test, or the simulator), changed on its home reactor.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nvmf/shard.h"

namespace weft::nvmf {

/// Where hosts can reach the target, as the discovery log shows it.
struct ListenerRecord {
  TransportType type = TransportType::kTcp;
  std::string host;  // without brackets; a wildcard is shown as the address the asking host reached us at
  uint16_t port = 0;
  bool is_ipv6 = false;
  bool is_wildcard = false;
  bool is_loopback = false;
};

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
  const std::vector<std::unique_ptr<Subsystem>>& subsystems() const { return subsystems_; }
  Subsystem& discovery() { return *subsystems_.front(); }

  // --- before start(), on any thread ----------------------------------------------------------------------------------------------------
  /// Errors: kExists, kInvalid.
  Result<Subsystem*> add_subsystem(SubsystemConfig config);
  void set_listeners(std::vector<ListenerRecord> listeners) { listeners_ = std::move(listeners); }
  /// Readable from every shard after start().
  const std::vector<ListenerRecord>& listeners() const { return listeners_; }
  /// Changes with every visible change of the discovery log (GENCTR). Constant after start() until listeners or subsystems can change then.
  uint64_t discovery_generation() const { return discovery_generation_; }
  /// When the target was created: power-on hours count from here.
  Instant created() const { return created_; }

  // --- on the home reactor --------------------------------------------------------------------------------------------------------------
  /// Shows the namespace to every shard, then to the hosts (an asynchronous event); `done` gets the first error, if any, in which case the
  /// namespace is gone again. Errors: kExists, kLimit, the device's.
  void add_namespace(Subsystem& subsystem, uint32_t nsid, NamespaceIdentity identity, std::unique_ptr<bdev::Bdev> bdev,
                     std::move_only_function<void(Result<void>)> done);
  /// Hides it from the hosts, waits for its commands, closes the device. Errors: kNotFound; kBusy while it is being removed already.
  void remove_namespace(Subsystem& subsystem, uint32_t nsid, std::move_only_function<void(Result<void>)> done);
  /// Stops taking commands, finishes what executes within limits.shutdown_ms, closes every connection; `done` when the last queue is gone.
  void stop(std::move_only_function<void()> done);

  /// Calls on_shard(shard) on every shard's reactor, then `then` on the home reactor. From the home reactor.
  void on_every_shard(std::function<void(Shard&)> on_shard, std::move_only_function<void()> then);

 private:
  Target(const Limits& limits, Instant now) : limits_(limits), created_(now) {}
  void announce(Subsystem& subsystem, uint32_t nsid);
  void watch_stop();

  Limits limits_;
  Instant created_;
  uint64_t discovery_generation_ = 1;
  std::vector<ListenerRecord> listeners_;
  std::vector<std::unique_ptr<Subsystem>> subsystems_;  // the discovery subsystem first
  std::vector<std::unique_ptr<Shard>> shards_;          // die before the subsystems they view
  std::move_only_function<void()> on_stopped_;
  Timer stop_watch_ = Timer::calling<&Target::watch_stop>(this);
};

}  // namespace weft::nvmf
