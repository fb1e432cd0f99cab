// The byte-stream seam: connected, ordered, reliable byte streams and listeners as a reactor sees them. A Net belongs to one reactor; its
// streams and listeners are called back while that reactor polls, and never from inside a call that the protocol makes. Real side:
// platform/linux/epoll_net.h; the simulator has its own.
#pragma once
#include <sys/uio.h>  // iovec: the one system type that the seam speaks

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/error.h"

namespace weft::net {

/// What one receive or send did.
struct Transfer {
  enum class Kind : uint8_t { kBytes, kWouldBlock, kEnd, kError };  // kEnd: the peer has closed its side (receive only)
  Kind kind;
  size_t bytes = 0;      // kBytes: > 0
  int error_number = 0;  // kError: errno
  /// kBytes: nothing more can be received, or sent, for now; an event comes when it can, as after kWouldBlock. False promises nothing.
  bool is_exhausted = false;
};

/// An address as text and number, of either family. Text without brackets: "127.0.0.1", "::1", "fe80::1%eth0". An IPv4 peer of a
/// dual-stack listener is IPv4 here.
struct Address {
  std::string host;
  uint16_t port = 0;
  bool is_ipv6 = false;
  friend bool operator==(const Address&, const Address&) = default;
};

/// What the owner of a stream does when the network has news. Called on the stream's reactor.
class StreamEvents {
 public:
  /// Bytes, an end or an error can be received.
  virtual void on_readable() = 0;
  /// A send that would have blocked can be tried again.
  virtual void on_writable() = 0;

 protected:
  ~StreamEvents() = default;
};

/// A connected stream, or one that is connecting: until it is connected, both directions would block; a connect that failed is a kError.
/// Move-only, and not moved any more once it is watched; closes when it dies. `receive` fills the iovecs in order; `send` takes a prefix.
/// After kWouldBlock of receive, on_readable() comes when there is more: once for what is there, and maybe again for what comes before
/// that is received; likewise for send and on_writable(). Who closes with bytes unread resets: the peer gets a kError, not an end.
template <typename S>
concept Stream = std::move_constructible<S> && requires(S stream, std::span<const iovec> iovecs, StreamEvents& events) {
  { stream.receive(iovecs) } -> std::same_as<Transfer>;
  { stream.send(iovecs) } -> std::same_as<Transfer>;
  { stream.watch(events) } -> std::same_as<Result<void>>;  // once; events that are already due come in the next poll()
  { stream.shutdown_send() };                              // half-close: the peer reads an end after what was sent
  { stream.close() };                                      // no event comes after it; idempotent
  { stream.local_address() } -> std::same_as<Address>;
  { stream.peer_address() } -> std::same_as<Address>;
};

/// What the owner of a listener does with a new peer. `H` is the Net's Handle: a connected stream that belongs to no reactor yet, may be
/// moved to another thread, and closes when it dies.
template <typename H>
class ListenerEvents {
 public:
  virtual void on_accepted(H handle, const Address& peer) = 0;

 protected:
  ~ListenerEvents() = default;
};

/// Accepts from construction to destruction, in bounded batches per cycle. When the process runs out of descriptors it pauses by timer.
template <typename L>
concept Listener = requires(const L listener) {
  { listener.address() } -> std::same_as<const Address&>;  // the real one, also where port 0 was asked for
};

/// One reactor's network.
template <typename N>
concept Net = Stream<typename N::Stream> && Listener<typename N::Listener> &&
              requires(N net, typename N::Handle handle, const Address& address, ListenerEvents<typename N::Handle>& events) {
                // A stream of this reactor from a handle, which may come from another reactor's listener.
                { net.adopt(std::move(handle)) } -> std::same_as<typename N::Stream>;
                // Starts to connect; numeric addresses only. Errors: what the system says at once.
                { net.connect(address) } -> std::same_as<Result<typename N::Stream>>;
                // Errors: what the system says (address in use, not ours, no permission), with the address.
                { net.listen(address, events) } -> std::same_as<Result<std::unique_ptr<typename N::Listener>>>;
              };

}  // namespace weft::net
