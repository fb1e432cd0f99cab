// One life of a host on a simulated machine: a reactor, its network and the initiator's transport, as
// app/host_runtime.cc puts them together.
#pragma once
#include "host/tcp_transport.h"
#include "net/sockets.h"
#include "sim/core.h"
#include "sim/net.h"
#include "sim/setting.h"

#include <memory>

namespace weft::sim {

class HostProcess {
 public:
  HostProcess(const Setting& setting, size_t machine, uint64_t seed);
  ~HostProcess();

  Reactor& reactor() { return reactor_; }
  host::Transport& transport() { return transport_; }
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

  Sink sink_;
  Core core_;
  Reactor reactor_;
  Net net_;
  net::Sockets sockets_;
  host::TcpTransport<Net> transport_;
};

}  // namespace weft::sim
