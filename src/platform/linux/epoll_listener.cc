#include <sys/socket.h>

#include <cerrno>

#include "platform/linux/epoll_net.h"
#include "platform/linux/socket_address.h"

namespace weft::platform {
namespace {

constexpr Duration kPause = milliseconds(100);  // how long to leave peers waiting when no descriptor is free

}  // namespace

EpollListener::EpollListener(EventLoop& loop, Reactor& reactor, UniqueFd fd, net::ListenerEvents<UniqueFd>& events)
    : loop_(loop), reactor_(reactor), fd_(std::move(fd)), events_(events) {
  SocketAddress address;
  if (::getsockname(fd_.get(), address.generic(), &address.size) == 0) address_ = from_socket_address(address);
}

EpollListener::~EpollListener() {
  reactor_.disarm(resume_);
  if (is_watched_) loop_.unwatch(fd_.get(), *this);
}

Result<void> EpollListener::start() {
  auto watched = loop_.watch(fd_.get(), EPOLLIN, *this);
  is_watched_ = watched.has_value();
  return watched;
}

void EpollListener::on_events(uint32_t) {
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
void EpollListener::pause() {
  loop_.rewatch(fd_.get(), 0, *this);
  reactor_.arm(resume_, kPause);
}

void EpollListener::resume() { loop_.rewatch(fd_.get(), EPOLLIN, *this); }

}  // namespace weft::platform
