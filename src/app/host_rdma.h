// RDMA for a host tool: the control thread, one reactor's verbs, and the host's transport over them.
#pragma once
#include <memory>

#include "core/task.h"
#include "host/rdma_transport.h"
#include "platform/linux/ib_verbs.h"
#include "platform/linux/memory.h"

namespace weft::app {

class HostRdma {
 public:
  /// Outlives: both outlive it. Errors: what is missing for RDMA, and what to do about it.
  static Result<std::unique_ptr<HostRdma>> create(platform::EventLoop& loop, Reactor& reactor, const host::RdmaOptions& options);

  host::Transport& transport() { return transport_; }
  /// Gives everything back to the device; needed before the end. Requires: no queue is left.
  Task<Result<void>> close();

 private:
  HostRdma(platform::EventLoop& loop, Reactor& reactor, const host::RdmaOptions& options, std::unique_ptr<platform::RdmaControl> control);

  Reactor& reactor_;
  platform::MmapMemory memory_{platform::HugePages::kTransparent};
  std::unique_ptr<platform::RdmaControl> control_;
  platform::IbVerbs verbs_;
  host::RdmaTransport<platform::IbVerbs> transport_;
};

}  // namespace weft::app

extern template class weft::host::RdmaTransport<weft::platform::IbVerbs>;
