#include "app/host_runtime.h"

#include <cstdio>

namespace weft::app {
namespace {

constexpr net::Sockets::Options kSockets{.receive_bytes = 256 << 10,
                                         .send_iovecs = 1024,
                                         .partial_bytes = host::TcpConnection::kPartialMax,
                                         .stalled_send = seconds(30)};

}  // namespace

Result<std::unique_ptr<HostRuntime>> HostRuntime::create() {
  auto loop = platform::EventLoop::create();
  if (!loop) return std::unexpected(loop.error());
  return std::unique_ptr<HostRuntime>{new HostRuntime(std::move(*loop))};
}

HostRuntime::HostRuntime(std::unique_ptr<platform::EventLoop> loop)
    : loop_(std::move(loop)), reactor_({}, *loop_, sink_), net_(*loop_, reactor_), sockets_(reactor_, kSockets), transport_(net_, sockets_) {
  reactor_.add(*loop_);
  reactor_.add(sockets_);
}

HostRuntime::~HostRuntime() {
  reactor_.remove(sockets_);
  reactor_.remove(*loop_);
}

void HostRuntime::StderrSink::write(LogLevel, std::string_view line) { std::fprintf(stderr, "%.*s\n", int(line.size()), line.data()); }

}  // namespace weft::app
