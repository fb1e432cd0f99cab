#include "platform/linux/tcp_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "platform/linux/socket_address.h"

namespace weft::platform {
namespace {

net::Transfer failed_transfer(int error_number) {
  if (error_number == EAGAIN || error_number == EWOULDBLOCK) return {.kind = net::Transfer::Kind::kWouldBlock};
  return {.kind = net::Transfer::Kind::kError, .error_number = error_number};
}

msghdr header_of(std::span<const iovec> iovecs) {
  msghdr header{};
  header.msg_iov = const_cast<iovec*>(iovecs.data());  // the kernel does not change them
  header.msg_iovlen = iovecs.size();
  return header;
}

size_t total_size(std::span<const iovec> iovecs) {
  size_t total = 0;
  for (const iovec& piece : iovecs) total += piece.iov_len;
  return total;
}

void set_option(int fd, int level, int option, int value) {
  // An option that the system refuses costs speed, nothing else.
  (void)setsockopt(fd, level, option, &value, sizeof value);
}

Result<UniqueFd> new_socket(int family) {
  UniqueFd fd{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd.is_open()) return std::unexpected(Error::from_errno(errno, "socket"));
  return fd;
}

}  // namespace

net::Transfer TcpSocket::receive(std::span<const iovec> iovecs) {
  msghdr header = header_of(iovecs);
  ssize_t received;
  do received = ::recvmsg(fd_.get(), &header, 0);
  while (received < 0 && errno == EINTR);
  if (received < 0) return failed_transfer(errno);
  if (received == 0) return {.kind = net::Transfer::Kind::kEnd};
  return {.kind = net::Transfer::Kind::kBytes, .bytes = size_t(received), .is_exhausted = size_t(received) < total_size(iovecs)};
}

net::Transfer TcpSocket::send(std::span<const iovec> iovecs) {
  const msghdr header = header_of(iovecs);
  ssize_t sent;
  do sent = ::sendmsg(fd_.get(), &header, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return failed_transfer(errno);
  return {.kind = net::Transfer::Kind::kBytes, .bytes = size_t(sent), .is_exhausted = size_t(sent) < total_size(iovecs)};
}

void TcpSocket::shutdown_send() { (void)::shutdown(fd_.get(), SHUT_WR); }  // fails only when the peer is gone, which receive() reports

net::Address TcpSocket::local_address() const {
  SocketAddress address;
  if (::getsockname(fd_.get(), address.generic(), &address.size) != 0) return {};
  return from_socket_address(address);
}

net::Address TcpSocket::peer_address() const {
  SocketAddress address;
  if (::getpeername(fd_.get(), address.generic(), &address.size) != 0) return {};
  return from_socket_address(address);
}

void TcpSocket::set_stream_options() {
  set_option(fd_.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  // A peer without keep-alive of its own that vanishes is noticed all the same, after a minute and a half.
  set_option(fd_.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd_.get(), IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set_option(fd_.get(), IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set_option(fd_.get(), IPPROTO_TCP, TCP_KEEPCNT, 3);
}

Result<UniqueFd> connect_socket(const net::Address& address) {
  auto target = to_socket_address(address);
  if (!target) return std::unexpected(target.error());
  auto fd = new_socket(target->storage.ss_family);
  if (!fd) return fd;
  if (::connect(fd->get(), target->generic(), target->size) != 0 && errno != EINPROGRESS) {
    return std::unexpected(Error::from_errno(errno, "connect to " + to_text(address)));
  }
  return fd;
}

Result<UniqueFd> listen_socket(const net::Address& address) {
  constexpr int kBacklog = 1024;  // connections that wait for accept; a host opens all its queues at once
  auto target = to_socket_address(address);
  if (!target) return std::unexpected(target.error());
  auto fd = new_socket(target->storage.ss_family);
  if (!fd) return fd;
  set_option(fd->get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.is_ipv6) set_option(fd->get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(fd->get(), target->generic(), target->size) != 0 || ::listen(fd->get(), kBacklog) != 0) {
    return std::unexpected(Error::from_errno(errno, "listen on " + to_text(address)));
  }
  return fd;
}

}  // namespace weft::platform
