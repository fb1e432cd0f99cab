// net::Address to and from the system's socket addresses.
#pragma once
#include <sys/socket.h>

#include "base/error.h"
#include "net/stream.h"

namespace weft::platform {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* generic() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Numeric hosts only, with an IPv6 scope ("fe80::1%eth0") where there is one. Errors: kInvalid.
Result<SocketAddress> to_socket_address(const net::Address& address);
/// IPv4 addresses mapped into IPv6 come out as IPv4.
net::Address from_socket_address(const SocketAddress& address);
/// "127.0.0.1:4420", "[::1]:4420".
std::string to_text(const net::Address& address);

}  // namespace weft::platform
