#include "platform/linux/epoll_net.h"

namespace weft::platform {

static_assert(net::Stream<EpollStream> && net::Listener<SocketListener> && net::Net<EpollNet>);

EpollStream::EpollStream(EpollStream&& other) noexcept : TcpSocket(std::move(other)), loop_(other.loop_) {
  WEFT_ASSERT(other.events_ == nullptr);
}

net::Transfer EpollStream::receive(std::span<const iovec> iovecs) {
  net::Transfer transfer = TcpSocket::receive(iovecs);
  // A short receive has emptied the socket, and what comes later is a new edge; unless the end has come already, whose edge is spent.
  if (is_ending_) transfer.is_exhausted = false;
  return transfer;
}

Result<void> EpollStream::watch(net::StreamEvents& events) {
  WEFT_ASSERT(events_ == nullptr);
  set_stream_options();
  if (auto watched = loop_->watch(fd_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this); !watched) return watched;
  events_ = &events;
  return {};
}

void EpollStream::on_events(uint32_t epoll_events) {
  constexpr uint32_t kEnding = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((epoll_events & kEnding) != 0) is_ending_ = true;
  // on_readable() does not close the stream, it only takes note (net/socket.h), so both calls can be made.
  if ((epoll_events & (EPOLLIN | kEnding)) != 0) events_->on_readable();
  if ((epoll_events & (EPOLLOUT | EPOLLERR)) != 0 && events_ != nullptr) events_->on_writable();
}

void EpollStream::close() {
  if (!fd_.is_open()) return;
  if (std::exchange(events_, nullptr) != nullptr) loop_->unwatch(fd_.get(), *this);
  fd_.reset();
}

Result<EpollStream> EpollNet::connect(const net::Address& address) {
  auto fd = connect_socket(address);
  if (!fd) return std::unexpected(fd.error());
  return EpollStream{loop_, std::move(*fd)};
}

}  // namespace weft::platform
