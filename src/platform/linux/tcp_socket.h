// One TCP socket, non-blocking: its system calls, and how sockets are made. Called on the thread of the reactor that has it.
#pragma once
#include <span>

#include "net/stream.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {

class TcpSocket {
 public:
  explicit TcpSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  net::Transfer receive(std::span<const iovec> iovecs);
  net::Transfer send(std::span<const iovec> iovecs);
  void shutdown_send();
  net::Address local_address() const;
  net::Address peer_address() const;

 protected:
  /// What every watched stream has: no delay, and a bound on how long a vanished peer goes unnoticed.
  void set_stream_options();

  UniqueFd fd_;
};

/// A socket that connects. Errors: kInvalid for an address that is not numeric; else the system's.
Result<UniqueFd> connect_socket(const net::Address& address);
/// A socket that listens. "0.0.0.0" takes IPv4 only, "::" both families; port 0 takes any free one. Errors: as above, with the address.
Result<UniqueFd> listen_socket(const net::Address& address);

}  // namespace weft::platform
