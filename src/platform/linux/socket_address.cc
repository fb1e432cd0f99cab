#include "platform/linux/socket_address.h"

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstring>

#include "base/assert.h"

namespace weft::platform {
namespace {

/// ::ffff:a.b.c.d as a.b.c.d, anything else as it is.
SocketAddress unmapped(const SocketAddress& address) {
  if (address.storage.ss_family != AF_INET6) return address;
  sockaddr_in6 six;
  std::memcpy(&six, &address.storage, sizeof six);
  if (!IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) return address;
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = six.sin6_port;
  std::memcpy(&four.sin_addr, six.sin6_addr.s6_addr + 12, sizeof four.sin_addr);
  SocketAddress result;
  std::memcpy(&result.storage, &four, sizeof four);
  result.size = sizeof four;
  return result;
}

}  // namespace

Result<SocketAddress> to_socket_address(const net::Address& address) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_family = address.is_ipv6 ? AF_INET6 : AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) != 0) {
    return fail(Errc::kInvalid, "not a numeric address: " + to_text(address));
  }
  SocketAddress result;
  std::memcpy(&result.storage, found->ai_addr, found->ai_addrlen);
  result.size = found->ai_addrlen;
  freeaddrinfo(found);
  return result;
}

net::Address from_socket_address(const SocketAddress& address) {
  const SocketAddress plain = unmapped(address);
  net::Address result;
  char host[NI_MAXHOST];
  if (getnameinfo(plain.generic(), plain.size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) return result;
  result.host = host;
  result.is_ipv6 = plain.storage.ss_family == AF_INET6;
  // The port stands at the same place in both families, in network byte order.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  uint16_t port;
  std::memcpy(&port, reinterpret_cast<const char*>(&plain.storage) + offsetof(sockaddr_in, sin_port), sizeof port);
  result.port = ntohs(port);
  return result;
}

std::string to_text(const net::Address& address) {
  return (address.is_ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

}  // namespace weft::platform
