// The network of one reactor over non-blocking sockets and epoll, edge-triggered. Lives as long as its reactor; its streams and listeners
// die before it. Called on the reactor's thread.
#pragma once
#include <optional>
#include <span>

#include "core/reactor.h"
#include "net/stream.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {

class EpollStream final : private FdHandler {
 public:
  EpollStream(EventLoop& loop, UniqueFd fd) : loop_(&loop), fd_(std::move(fd)) {}
  /// Requires: `other` is not watched.
  EpollStream(EpollStream&& other) noexcept;
  EpollStream& operator=(EpollStream&&) = delete;
  ~EpollStream() { close(); }

  net::Transfer receive(std::span<const iovec> iovecs);
  net::Transfer send(std::span<const iovec> iovecs);
  Result<void> watch(net::StreamEvents& events);
  void shutdown_send();
  void close();
  net::Address local_address() const;
  net::Address peer_address() const;

 private:
  void on_events(uint32_t epoll_events) override;

  EventLoop* loop_;
  UniqueFd fd_;
  net::StreamEvents* events_ = nullptr;  // null: not watched
  bool is_ending_ = false;               // the peer has closed or the socket failed: a short receive is not the last one
};

class EpollListener;

class EpollNet final {
 public:
  using Stream = EpollStream;
  using Handle = UniqueFd;
  using Listener = EpollListener;

  EpollNet(EventLoop& loop, Reactor& reactor) : loop_(loop), reactor_(reactor) {}
  EpollStream adopt(UniqueFd handle) { return {loop_, std::move(handle)}; }
  /// Errors: kInvalid for an address that is not numeric; else the system's.
  Result<EpollStream> connect(const net::Address& address);
  /// "0.0.0.0" takes IPv4 only, "::" both families; port 0 takes any free one. Errors: as for connect(), with the address.
  Result<std::unique_ptr<EpollListener>> listen(const net::Address& address, net::ListenerEvents<UniqueFd>& events);

 private:
  EventLoop& loop_;
  Reactor& reactor_;
};

class EpollListener final : private FdHandler {
 public:
  EpollListener(EventLoop& loop, Reactor& reactor, UniqueFd fd, net::ListenerEvents<UniqueFd>& events);
  ~EpollListener();
  /// Errors: the system's.
  Result<void> start();
  const net::Address& address() const { return address_; }

 private:
  static constexpr int kBatch = 32;  // connections accepted per event; level-triggered, so the others come in the next cycle
  void on_events(uint32_t epoll_events) override;
  void pause();
  void resume();

  EventLoop& loop_;
  Reactor& reactor_;
  UniqueFd fd_;
  net::ListenerEvents<UniqueFd>& events_;
  net::Address address_;
  bool is_watched_ = false;
  Timer resume_ = Timer::calling<&EpollListener::resume>(this);
};

}  // namespace weft::platform
