#include "sim/host_process.h"

namespace weft::sim {
namespace {

constexpr net::Sockets::Options kSockets{.receive_bytes = 64 << 10,
                                         .send_iovecs = 64,
                                         .partial_bytes = host::TcpConnection::kPartialMax,
                                         .stalled_send = seconds(30)};

}  // namespace

HostProcess::HostProcess(const Setting& setting, size_t machine, uint64_t seed)
    : sink_(setting, machine),
      core_(setting.agenda, seed),
      reactor_({}, core_, sink_),
      net_(setting.network, machine, core_),
      sockets_(reactor_, kSockets),
      transport_(net_, sockets_) {
  reactor_.add(net_);
  reactor_.add(sockets_);
  core_.run(reactor_);
}

HostProcess::~HostProcess() {
  while (reactor_.run_once() == Reactor::Turn::kWorked) {
  }
  reactor_.remove(sockets_);
  reactor_.remove(net_);
}

}  // namespace weft::sim
