#include "app/host_runtime.h"

#include <cstdio>

namespace weft::app {
namespace {

constexpr net::Sockets::Options kSockets{.receive_bytes = 256 << 10,
                                         .send_iovecs = 1024,
                                         .partial_bytes = host::TcpConnection::kPartialMax,
                                         .stalled_send = seconds(30)};

}  // namespace

Result<std::unique_ptr<HostRuntime>> HostRuntime::create(fabrics::Trtype transport, const host::RdmaOptions& rdma) {
  WEFT_ASSERT(transport == fabrics::Trtype::kTcp || transport == fabrics::Trtype::kRdma);
  auto loop = platform::EventLoop::create();
  if (!loop) return std::unexpected(loop.error());
  std::unique_ptr<HostRuntime> runtime{new HostRuntime(std::move(*loop))};
  if (transport == fabrics::Trtype::kRdma) {
    auto over_rdma = HostRdma::create(*runtime->loop_, runtime->reactor_, rdma);
    if (!over_rdma) return std::unexpected(over_rdma.error());
    runtime->rdma_ = std::move(*over_rdma);
  }
  return runtime;
}

HostRuntime::HostRuntime(std::unique_ptr<platform::EventLoop> loop)
    : loop_(std::move(loop)), reactor_({}, *loop_, sink_), net_(*loop_, reactor_), sockets_(reactor_, kSockets), tcp_(net_, sockets_) {
  reactor_.add(*loop_);
  reactor_.add(sockets_);
}

HostRuntime::~HostRuntime() {
  rdma_.reset();
  reactor_.remove(sockets_);
  reactor_.remove(*loop_);
}

host::Transport& HostRuntime::transport() {
  if (rdma_ != nullptr) return rdma_->transport();
  return tcp_;
}

void HostRuntime::StderrSink::write(LogLevel, std::string_view line) { std::fprintf(stderr, "%.*s\n", int(line.size()), line.data()); }

}  // namespace weft::app
