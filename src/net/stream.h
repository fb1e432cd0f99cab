// The byte-stream seam: connected, ordered, reliable byte streams as the reactor sees them. A Net belongs to one reactor and is one of its
// pollers; its streams are called back from Net::poll() and never from inside a call that the protocol makes. Real side:
// platform/linux/epoll_net.h; the simulator has its own.
#pragma once
#include <sys/uio.h>  // iovec: the one system type that the seam speaks

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace weft::net {

/// What one receive or send did.
struct Transfer {
  enum class Kind : uint8_t { kBytes, kWouldBlock, kEnd, kError };  // kEnd: the peer has closed its side (receive only)
  Kind kind;
  size_t bytes = 0;      // kBytes: > 0
  int error_number = 0;  // kError: errno
};

/// An address as text and number, of either family. Text without brackets: "127.0.0.1", "::1", "fe80::1%eth0".
struct Address {
  std::string host;
  uint16_t port = 0;
  bool is_ipv6 = false;
};

/// What the owner of a stream does when the network has news. Called from Net::poll() on the stream's reactor.
class StreamEvents {
 public:
  /// Bytes, an end or an error can be received.
  virtual void on_readable() = 0;
  /// A send that would have blocked can be tried again.
  virtual void on_writable() = 0;

 protected:
  ~StreamEvents() = default;
};

/// A connected stream. Move-only; closes when it dies. `receive` fills the iovecs in order; `send` takes a prefix of them.
/// After kWouldBlock of receive, on_readable() comes when there is more (edge: at most one event until then); likewise for send and on_writable().
template <typename S>
concept Stream = requires(S stream, std::span<const iovec> iovecs, StreamEvents& events) {
  { stream.receive(iovecs) } -> std::same_as<Transfer>;
  { stream.send(iovecs) } -> std::same_as<Transfer>;
  { stream.watch(events) };            // from now on, events of this stream go there; events that are already due come in the next poll()
  { stream.shutdown_send() };          // half-close: the peer reads an end after what was sent
  { stream.close() };                  // no event comes after it; idempotent
  { stream.local_address() } -> std::same_as<Address>;
  { stream.peer_address() } -> std::same_as<Address>;
};

}  // namespace weft::net
