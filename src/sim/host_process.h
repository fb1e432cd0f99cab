// One life of a host on a simulated machine: a reactor, its network and the initiator's transport, as
// app/host_runtime.cc puts them together.
#pragma once
#include "host/rdma_transport.h"
#include "host/tcp_transport.h"
#include "net/sockets.h"
#include "sim/core.h"
#include "sim/memory.h"
#include "sim/net.h"
#include "sim/plan.h"
#include "sim/setting.h"
#include "verbs/memory_verbs.h"

#include <functional>
#include <memory>

namespace weft::sim {

class HostProcess {
 public:
  HostProcess(const Setting& setting, size_t machine, const HostPlan& plan, uint64_t seed);
  /// Requires: close() has called back, or nothing was ever opened. A process that died is buried instead.
  ~HostProcess();

  Reactor& reactor() { return reactor_; }
  host::Transport& transport(FabricKind fabric) {
    if (fabric == FabricKind::kRdma) return rdma_;
    return tcp_;
  }
  /// Gives the device back; `done` on the agenda. Requires: no queue is left.
  void close(std::function<void()> done);
  void stall(Duration time) { core_.stall(time); }
  /// Nothing of it runs any more.
  void die() { core_.halt(); }

 private:
  class Sink final : public LogSink {
   public:
    explicit Sink(const Setting& setting, size_t machine) : setting_(setting), machine_(machine) {}
    void write(LogLevel, std::string_view line) override {
      setting_.trace.note(setting_.agenda.now(), "host {}: {}", machine_, line);
    }

   private:
    Setting setting_;
    size_t machine_;
  };

  void await_close(std::function<void()> done);

  Setting setting_;
  Sink sink_;
  Core core_;
  Reactor reactor_;
  Net net_;
  net::Sockets sockets_;
  host::TcpTransport<Net> tcp_;
  Memory memory_{std::nullopt};
  verbs::MemoryVerbs verbs_;
  host::RdmaTransport<verbs::MemoryVerbs> rdma_;
};

}  // namespace weft::sim
