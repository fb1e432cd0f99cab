// One life of a target on a simulated machine: reactors, network, memory, target and transport, put together as
// app/target_process.cc does it for production. Ends in order (stop(), then destruction) or by a crash (die(), then
// burial).
#pragma once
#include "net/sockets.h"
#include "nvmf/target.h"
#include "sim/core.h"
#include "sim/memory.h"
#include "sim/net.h"
#include "sim/nvme_seat.h"
#include "sim/setting.h"
#include "transport/rdma/acceptor.h"
#include "transport/tcp/acceptor.h"
#include "verbs/memory_verbs.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft::sim {

/// Hears every line that a target logs.
using LogListener = std::function<void(std::string_view line)>;

class TargetProcess {
 public:
  struct Options {
    size_t machine = 0;
    size_t reactors = 1;
    Limits limits;
    uint64_t seed = 0;
    std::optional<uint64_t> refused_request;  // this request for memory fails
    LogListener on_log;
  };
  /// Errors: the target's, when memory was refused.
  static Result<std::unique_ptr<TargetProcess>> start(const Setting& setting, Options options);
  /// Requires: close() was called, or nothing was ever connected. A process that died is buried instead.
  ~TargetProcess();

  /// Not any more once stop() has closed it, while the seats of NVMe devices are closed.
  bool has_target() const { return target_ != nullptr; }
  /// Requires: has_target().
  nvmf::Target& target() { return *target_; }
  /// Over every fabric; on its home reactor.
  Result<void> listen(const net::Address& address);
  void unlisten(const net::Address& address);
  uint64_t connections() const { return tcp_->totals().connections + rdma_->totals().connections; }
  Memory& memory() { return memory_; }
  /// The namespace of an NVMe device of the machine; on the home reactor. Errors: the controller's. Requires: nobody waits for another one of it.
  void open_nvme(NvmeDevice& hardware, NvmeSeat::Opened opened);
  size_t reactor_count() const { return rooms_.size(); }
  void stall(size_t reactor, Duration time) { rooms_[reactor]->core.stall(time); }
  void jump_wall_clock(int64_t milliseconds);

  /// Closes everything in order; `done` when nothing is left but to destroy it. On the agenda, not from a reactor.
  void stop(std::function<void()> done);
  /// Destroys target and transports; only the memory is left to look at. Requires: stop() has called back.
  void close();
  /// Nothing of it runs any more, and its memory is gone.
  void die();

 private:
  class Sink final : public LogSink {
   public:
    Sink(const Setting& setting, size_t machine, LogListener listener)
        : setting_(setting), machine_(machine), listener_(std::move(listener)) {}
    void write(LogLevel level, std::string_view line) override;

   private:
    Setting setting_;
    size_t machine_;
    LogListener listener_;
  };
  struct Room {
    Room(const Setting& setting, const Options& options, uint32_t index, LogSink& sink);
    ~Room();
    Core core;
    Reactor reactor;
    Net net;
    net::Sockets sockets;
    verbs::MemoryVerbs verbs;
  };

  TargetProcess(const Setting& setting, Options options);
  Result<void> make();
  void close_target();
  void close_seats(std::function<void()> done);

  Setting setting_;
  Options options_;
  Sink sink_;
  Memory memory_;
  std::vector<std::unique_ptr<Room>> rooms_;
  std::vector<std::unique_ptr<NvmeSeat>> seats_;  // outlive the target, which has their block devices
  std::unique_ptr<nvmf::Target> target_;
  std::unique_ptr<tcp::Acceptor<Net>> tcp_;
  std::unique_ptr<rdma::Acceptor<verbs::MemoryVerbs>> rdma_;
};

}  // namespace weft::sim
