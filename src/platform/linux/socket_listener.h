// Accepts connections on one address, in batches, woken by the event loop: the same for streams over epoll and over io_uring, since
// connections are few beside what they carry. Belongs to its reactor.
#pragma once
#include <memory>

#include "core/reactor.h"
#include "net/stream.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {

class SocketListener final : private FdHandler {
 public:
  /// Accepts from now on. Errors: as listen_socket().
  static Result<std::unique_ptr<SocketListener>> listen(EventLoop& loop, Reactor& reactor, const net::Address& address,
                                                        net::ListenerEvents<UniqueFd>& events);
  ~SocketListener();
  const net::Address& address() const { return address_; }

 private:
  static constexpr int kBatch = 32;  // connections accepted per event; level-triggered, so the others come in the next cycle
  SocketListener(EventLoop& loop, Reactor& reactor, UniqueFd fd, net::ListenerEvents<UniqueFd>& events);
  Result<void> start();
  void on_events(uint32_t epoll_events) override;
  void pause();
  void resume();

  EventLoop& loop_;
  Reactor& reactor_;
  UniqueFd fd_;
  net::ListenerEvents<UniqueFd>& events_;
  net::Address address_;
  bool is_watched_ = false;
  Timer resume_ = Timer::calling<&SocketListener::resume>(this);
};

}  // namespace weft::platform
