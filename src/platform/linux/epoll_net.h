// The network of one reactor over non-blocking sockets and epoll, edge-triggered. Lives as long as its reactor; its streams and listeners
// die before it. Called on the reactor's thread.
#pragma once
#include "net/stream.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/socket_listener.h"
#include "platform/linux/tcp_socket.h"

namespace weft::platform {

class EpollStream final : public TcpSocket, private FdHandler {
 public:
  EpollStream(EventLoop& loop, UniqueFd fd) : TcpSocket(std::move(fd)), loop_(&loop) {}
  /// Requires: `other` is not watched.
  EpollStream(EpollStream&& other) noexcept;
  EpollStream& operator=(EpollStream&&) = delete;
  ~EpollStream() { close(); }

  net::Transfer receive(std::span<const iovec> iovecs);
  Result<void> watch(net::StreamEvents& events);
  void close();

 private:
  void on_events(uint32_t epoll_events) override;

  EventLoop* loop_;
  net::StreamEvents* events_ = nullptr;  // null: not watched
  bool is_ending_ = false;               // the peer has closed or the socket failed: a short receive is not the last one
};

class EpollNet final {
 public:
  using Stream = EpollStream;
  using Handle = UniqueFd;
  using Listener = SocketListener;

  EpollNet(EventLoop& loop, Reactor& reactor) : loop_(loop), reactor_(reactor) {}
  EpollStream adopt(UniqueFd handle) { return {loop_, std::move(handle)}; }
  /// Errors: as connect_socket().
  Result<EpollStream> connect(const net::Address& address);
  /// Errors: as listen_socket().
  Result<std::unique_ptr<SocketListener>> listen(const net::Address& address, net::ListenerEvents<UniqueFd>& events) {
    return SocketListener::listen(loop_, reactor_, address, events);
  }

 private:
  EventLoop& loop_;
  Reactor& reactor_;
};

}  // namespace weft::platform
