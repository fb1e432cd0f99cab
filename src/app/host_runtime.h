// What a host tool runs on: one reactor on the caller's thread, with a real network. The other composition beside `serve`.
#pragma once
#include <memory>
#include <optional>
#include <utility>

#include "app/host_rdma.h"
#include "core/task.h"
#include "host/tcp_transport.h"
#include "net/sockets.h"
#include "platform/linux/epoll_net.h"
#include "platform/linux/event_loop.h"
#include "wire/fabrics/discovery.h"

namespace weft::app {

class HostRuntime {
 public:
  /// Over kTcp or kRdma; `rdma` is for the latter. Errors: the system's (out of descriptors); what is missing for RDMA, and what to do about it.
  static Result<std::unique_ptr<HostRuntime>> create(fabrics::Trtype transport, const host::RdmaOptions& rdma = {});
  ~HostRuntime();

  Reactor& reactor() { return reactor_; }
  host::Transport& transport();
  /// Runs until the task has ended, and everything that it has opened is given back. Once.
  template <typename T>
  T run(Task<T> task) {
    return run_to_end(reactor_, with_end(std::move(task)));
  }

 private:
  explicit HostRuntime(std::unique_ptr<platform::EventLoop> loop);

  template <typename T>
  Task<T> with_end(Task<T> task) {
    T result = co_await task;  // as it stands here: g++ 12 destroys twice what is moved from
    if (rdma_ != nullptr) co_await rdma_->close();
    co_return std::move(result);
  }

  class StderrSink final : public LogSink {
   public:
    void write(LogLevel level, std::string_view line) override;
  };

  StderrSink sink_;
  std::unique_ptr<platform::EventLoop> loop_;
  Reactor reactor_;
  platform::EpollNet net_;
  net::Sockets sockets_;
  host::TcpTransport<platform::EpollNet> tcp_;
  std::unique_ptr<HostRdma> rdma_;  // null: over TCP
};

}  // namespace weft::app
