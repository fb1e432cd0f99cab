// What a host tool runs on: one reactor on the caller's thread, with real sockets. The other composition beside `serve`.
#pragma once
#include <memory>

#include "core/task.h"
#include "host/tcp_transport.h"
#include "net/sockets.h"
#include "platform/linux/epoll_net.h"
#include "platform/linux/event_loop.h"

namespace weft::app {

class HostRuntime {
 public:
  /// Errors: the system's (out of descriptors).
  static Result<std::unique_ptr<HostRuntime>> create();
  ~HostRuntime();

  Reactor& reactor() { return reactor_; }
  host::Transport& transport() { return transport_; }
  /// Runs until the task has ended. Once.
  template <typename T>
  T run(Task<T> task) {
    return run_to_end(reactor_, std::move(task));
  }

 private:
  explicit HostRuntime(std::unique_ptr<platform::EventLoop> loop);

  class StderrSink final : public LogSink {
   public:
    void write(LogLevel level, std::string_view line) override;
  };

  StderrSink sink_;
  std::unique_ptr<platform::EventLoop> loop_;
  Reactor reactor_;
  platform::EpollNet net_;
  net::Sockets sockets_;
  host::TcpTransport<platform::EpollNet> transport_;
};

}  // namespace weft::app
