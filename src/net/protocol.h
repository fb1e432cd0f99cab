// What the pump (net/socket.h) asks of a protocol: bytes and instants in, bytes and wishes out. A protocol has no socket, no clock and no
// thread; transport/tcp has the target's, host/ the initiator's. Every call is made on the connection's reactor, and no call of a pump is
// made from inside another one, so a protocol never finds itself half-way.
#pragma once
#include <sys/uio.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/time.h"

namespace weft::net {

/// What a protocol wants its pump to do with the stream. It never goes back up this list.
enum class Wish : uint8_t {
  kStay,       // receive and send
  kFinish,     // send what is pending, then half-close; bytes received are dropped; closed when the peer closes
  kCloseSent,  // try once to send what is pending, then close
  kClose,      // close at once
};

/// Why a stream was closed.
struct Closing {
  enum class Reason : uint8_t { kPeer, kError, kStalled, kProtocol };  // kProtocol: the protocol's own wish
  Reason reason;
  int error_number = 0;  // kError: errno
};

/// How a protocol tells its pump what has changed outside of the pump's calls (a command completed). Cheap to repeat.
class Outlet {
 public:
  /// pending() has something, or wish() or next_deadline() has moved.
  virtual void wants_send() = 0;
  /// receive_max() is no longer 0. Only for a PausingProtocol.
  virtual void wants_receive() {}

 protected:
  ~Outlet() = default;
};

template <typename P>
concept Protocol = requires(P protocol, std::span<const std::byte> bytes, std::span<iovec> room, size_t count, Instant now, Closing closing) {
  // The longest tail that received() leaves unconsumed: the pump keeps it and presents it again with what comes after it.
  { P::kPartialMax } -> std::convertible_to<size_t>;
  // Takes what it can of `bytes`, which are lent for the call; returns how much. A rest means: present it again when more has come.
  // Consumes everything when direct() is non-empty afterwards or wish() is no longer kStay.
  { protocol.received(bytes, now) } -> std::same_as<size_t>;
  // Where the next bytes should land; empty when they should be presented to received(). Stays valid until direct_received() or on_closed().
  { protocol.direct() } -> std::same_as<std::span<std::byte>>;
  // The first `count` bytes of direct() have been filled.
  { protocol.direct_received(count, now) };
  // What can be written now, in order, gathered into `room`; returns the part of `room` used. Asked again after each sent().
  { protocol.pending(room) } -> std::same_as<std::span<const iovec>>;
  // Whether pending() would give anything.
  { protocol.has_pending() } -> std::same_as<bool>;
  // The first `count` bytes of the last pending() have been taken by the stream.
  { protocol.sent(count, now) };
  { protocol.wish() } -> std::same_as<Wish>;
  // When on_time() should be called at the latest; Instant::never() for not at all. May move with every call above.
  { protocol.next_deadline() } -> std::same_as<Instant>;
  { protocol.on_time(now) };
  // The stream is gone; no call follows. Called once. The pump may be destroyed later, but not inside.
  { protocol.on_closed(closing) };
};

/// A protocol that may refuse to receive for a while.
template <typename P>
concept PausingProtocol = Protocol<P> && requires(P protocol) {
  // The most bytes that one receive should bring beside direct(). 0: received() has stopped before something that it cannot take now; the pump
  // keeps the rest, whatever its length, and presents it after Outlet::wants_receive().
  { protocol.receive_max() } -> std::same_as<size_t>;
};

/// One that may want an answer to leave sooner than in the flush of the cycle.
template <typename P>
concept AnsweringProtocol = Protocol<P> && requires(const P protocol) {
  // Asked after a receive behind which something is pending that was not before: whether it is to be sent at once.
  { protocol.answers_at_once() } -> std::same_as<bool>;
};

}  // namespace weft::net
