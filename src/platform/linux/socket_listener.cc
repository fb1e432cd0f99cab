#include "platform/linux/socket_listener.h"

#include <sys/socket.h>

#include <cerrno>

#include "platform/linux/socket_address.h"
#include "platform/linux/tcp_socket.h"

namespace weft::platform {
namespace {

constexpr Duration kPause = milliseconds(100);  // how long to leave peers waiting when no descriptor is free

}  // namespace

Result<std::unique_ptr<SocketListener>> SocketListener::listen(EventLoop& loop, Reactor& reactor, const net::Address& address,
                                                               net::ListenerEvents<UniqueFd>& events) {
  auto fd = listen_socket(address);
  if (!fd) return std::unexpected(fd.error());
  std::unique_ptr<SocketListener> listener{new SocketListener(loop, reactor, std::move(*fd), events)};
  if (auto started = listener->start(); !started) return std::unexpected(started.error());
  return listener;
}

SocketListener::SocketListener(EventLoop& loop, Reactor& reactor, UniqueFd fd, net::ListenerEvents<UniqueFd>& events)
    : loop_(loop), reactor_(reactor), fd_(std::move(fd)), events_(events) {
  SocketAddress address;
  if (::getsockname(fd_.get(), address.generic(), &address.size) == 0) address_ = from_socket_address(address);
}

SocketListener::~SocketListener() {
  reactor_.disarm(resume_);
  if (is_watched_) loop_.unwatch(fd_.get(), *this);
}

Result<void> SocketListener::start() {
  auto watched = loop_.watch(fd_.get(), EPOLLIN, *this);
  is_watched_ = watched.has_value();
  return watched;
}

void SocketListener::on_events(uint32_t) {
  for (int i = 0; i < kBatch; ++i) {
    SocketAddress peer;
    UniqueFd fd{::accept4(fd_.get(), peer.generic(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (fd.is_open()) {
      events_.on_accepted(std::move(fd), from_socket_address(peer));
      continue;
    }
    switch (errno) {
      case EAGAIN: return;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM: return pause();
      default: break;  // this connection has failed before it was accepted (ECONNABORTED, network errors); the next may not have
    }
  }
}

/// The connections stay in the backlog; without this, a level-triggered listener would spin.
void SocketListener::pause() {
  loop_.rewatch(fd_.get(), 0, *this);
  reactor_.arm(resume_, kPause);
}

void SocketListener::resume() { loop_.rewatch(fd_.get(), EPOLLIN, *this); }

}  // namespace weft::platform
