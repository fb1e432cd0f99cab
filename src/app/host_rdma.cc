#include "app/host_rdma.h"

template class weft::host::RdmaTransport<weft::platform::IbVerbs>;

namespace weft::app {

Result<std::unique_ptr<HostRdma>> HostRdma::create(platform::EventLoop& loop, Reactor& reactor, const host::RdmaOptions& options) {
  auto control = platform::RdmaControl::start();
  if (!control) return std::unexpected(control.error());
  return std::unique_ptr<HostRdma>{new HostRdma(loop, reactor, options, std::move(*control))};
}

HostRdma::HostRdma(platform::EventLoop& loop, Reactor& reactor, const host::RdmaOptions& options, std::unique_ptr<platform::RdmaControl> control)
    : reactor_(reactor), control_(std::move(control)), verbs_(loop, reactor, *control_), transport_(reactor, verbs_, memory_, options) {}

Task<Result<void>> HostRdma::close() {
  transport_.close();
  while (!transport_.is_closed()) co_await Pause{reactor_, milliseconds(1)};  // the control thread takes things down, one after the other
  co_return Result<void>{};
}

}  // namespace weft::app
