// The pump between one stream and one protocol: receives into the reactor's shared buffer (or straight where the protocol wants a large
// payload), keeps only a partial PDU between receives, sends what is pending once per cycle, and keeps the protocol's timer. Runs on one
// reactor; belongs to whoever made the connection (the acceptor, the initiator), who may destroy it once the protocol's on_closed() was
// called and has returned.
#pragma once
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/simulation.h"
#include "core/timer.h"
#include "net/protocol.h"
#include "net/sockets.h"
#include "net/stream.h"

namespace weft::net {

template <Net N, Protocol P>
class Socket final : private SocketTurn, private StreamEvents, public Outlet {
 public:
  using Stream = typename N::Stream;

  /// Requires: start() before anything else. Outlives: `sockets` and `protocol` outlive it.
  Socket(Sockets& sockets, Stream stream, P& protocol) : sockets_(sockets), stream_(std::move(stream)), protocol_(protocol) {
    WEFT_ASSERT(P::kPartialMax <= sockets.partials().size());
  }
  ~Socket() override {
    WEFT_ASSERT(!is_open_);
    sockets_.forget(*this);
  }

  /// Watches the stream and asks the protocol for its first bytes. Errors: the system's; then on_closed() will not be called.
  Result<void> start() {
    if (auto watched = stream_.watch(*this); !watched) return watched;
    is_open_ = true;
    sockets_.make_dirty(*this);
    update_timer();
    return {};
  }

  bool is_open() const { return is_open_; }
  const Stream& stream() const { return stream_; }
  void wants_send() override {
    if (is_open_) sockets_.make_dirty(*this);
  }
  void wants_receive() override {
    if (is_open_) sockets_.make_ready(*this);
  }
  /// Closes now and tells the protocol. Does nothing when it is closed. Not to be called from inside a call of the protocol.
  void close(Closing closing);

 private:
  void on_readable() override { sockets_.make_ready(*this); }
  void on_writable() override {
    if (std::exchange(is_blocked_, false)) sockets_.send_rest(*this);
  }
  Rest receive_once() override;
  Rest send_once() override;
  bool answers_at_once() const override {
    if constexpr (AnsweringProtocol<P>) return protocol_.answers_at_once();
    return false;
  }
  void on_timer();

  void take_in(size_t bytes, std::span<std::byte> direct, std::span<std::byte> received);
  void parse(std::span<std::byte> bytes);
  size_t receive_max();
  void note_progress(size_t sent);
  bool obey_wish();
  void update_timer();
  Instant now() { return sockets_.reactor().now(); }

  Sockets& sockets_;
  Stream stream_;
  P& protocol_;
  bool is_open_ = false;
  bool is_blocked_ = false;        // the stream takes nothing until on_writable()
  bool has_finished_send_ = false;
  bool is_paused_ = false;         // the protocol takes nothing until wants_receive(); kept_ may be long
  Kept kept_;                      // received, not consumed
  Instant stalled_since_ = Instant::never();
  Timer timer_ = Timer::calling<&Socket::on_timer>(this);
};

template <Net N, Protocol P>
auto Socket<N, P>::receive_once() -> Rest {
  const bool is_dropping = protocol_.wish() != Wish::kStay;
  const size_t room = is_dropping ? sockets_.receive_bytes() : receive_max();
  if (room == 0) return Rest::kNone;
  if (std::exchange(is_paused_, false) && !is_dropping) {
    parse(kept_.bytes());
    if (!obey_wish()) return Rest::kNone;
    update_timer();
    return Rest::kMore;
  }
  // The new bytes land behind the place where the partial PDU will stand, so that parsing sees one run of bytes.
  const auto shared = sockets_.receive_buffer().subspan(sockets_.partials().size(), room);
  const auto direct = is_dropping ? std::span<std::byte>{} : protocol_.direct();
  WEFT_ASSERT(direct.empty() || kept_.size == 0);
  const iovec targets[] = {{direct.data(), direct.size()}, {shared.data(), shared.size()}};
  const Transfer transfer = stream_.receive(std::span(targets).last(direct.empty() ? 1 : 2));
  switch (transfer.kind) {
    case Transfer::Kind::kWouldBlock: return Rest::kNone;
    case Transfer::Kind::kEnd: close({Closing::Reason::kPeer}); return Rest::kNone;
    case Transfer::Kind::kError: close({Closing::Reason::kError, transfer.error_number}); return Rest::kNone;
    case Transfer::Kind::kBytes: break;
  }
  WEFT_ASSERT(transfer.bytes > 0 && transfer.bytes <= direct.size() + shared.size());
  if (!is_dropping) take_in(transfer.bytes, direct, shared);
  if (!obey_wish()) return Rest::kNone;
  update_timer();
  return transfer.is_exhausted ? Rest::kNone : Rest::kMore;
}

template <Net N, Protocol P>
void Socket<N, P>::take_in(size_t bytes, std::span<std::byte> direct, std::span<std::byte> received) {
  const size_t landed = std::min(bytes, direct.size());
  if (landed > 0) protocol_.direct_received(landed, now());
  if (bytes == landed) return;
  // `received` has room for the partial PDU before it.
  std::span<std::byte> all{received.data() - kept_.size, kept_.size + bytes - landed};
  if (kept_.size > 0) std::memcpy(all.data(), kept_.buffer.get(), kept_.size);
  parse(all);
}

template <Net N, Protocol P>
void Socket<N, P>::parse(std::span<std::byte> bytes) {
  const size_t consumed = protocol_.received(bytes, now());
  WEFT_ASSERT(consumed <= bytes.size());
  if (protocol_.wish() != Wish::kStay) return sockets_.partials().drop(kept_);
  is_paused_ = receive_max() == 0;
  WEFT_ASSERT(is_paused_ || bytes.size() - consumed <= P::kPartialMax);
  sockets_.partials().keep(kept_, bytes.subspan(consumed));
}

template <Net N, Protocol P>
size_t Socket<N, P>::receive_max() {
  if constexpr (PausingProtocol<P>) return std::min(protocol_.receive_max(), sockets_.receive_bytes());
  return sockets_.receive_bytes();
}

template <Net N, Protocol P>
auto Socket<N, P>::send_once() -> Rest {
  // Asked before: a wish that comes up while these bytes leave may have more to say, and gets a turn of its own.
  const bool is_last_try = protocol_.wish() == Wish::kCloseSent;
  const auto pending = is_blocked_ ? std::span<const iovec>{} : protocol_.pending(sockets_.iovecs());
  if (!pending.empty()) {
    const Transfer transfer = stream_.send(pending);
    switch (transfer.kind) {
      case Transfer::Kind::kWouldBlock: break;
      case Transfer::Kind::kEnd:
      case Transfer::Kind::kError: close({Closing::Reason::kError, transfer.error_number}); return Rest::kNone;
      case Transfer::Kind::kBytes: protocol_.sent(transfer.bytes, now()); break;
    }
    is_blocked_ = transfer.kind == Transfer::Kind::kWouldBlock || transfer.is_exhausted;
    note_progress(transfer.bytes);
  }
  if (is_last_try && is_open_ && protocol_.has_pending()) WEFT_PROBE("net/closed-with-bytes-unsent");
  if (is_last_try) close({Closing::Reason::kProtocol});
  if (!is_open_ || !obey_wish()) return Rest::kNone;
  update_timer();
  return protocol_.has_pending() && !is_blocked_ ? Rest::kMore : Rest::kNone;
}

template <Net N, Protocol P>
void Socket<N, P>::note_progress(size_t sent) {
  if (!protocol_.has_pending()) {
    stalled_since_ = Instant::never();
  } else if (sent > 0 || stalled_since_ == Instant::never()) {
    stalled_since_ = now();
  }
}

/// Does what the protocol wishes of the stream. Returns false when it is closed.
template <Net N, Protocol P>
bool Socket<N, P>::obey_wish() {
  switch (protocol_.wish()) {
    case Wish::kStay: return true;
    case Wish::kFinish:
      if (!protocol_.has_pending() && !std::exchange(has_finished_send_, true)) stream_.shutdown_send();
      return true;
    case Wish::kCloseSent: sockets_.make_dirty(*this); return true;
    case Wish::kClose: close({Closing::Reason::kProtocol}); return false;
  }
  return false;
}

template <Net N, Protocol P>
void Socket<N, P>::on_timer() {
  if (stalled_since_ != Instant::never() && now() - stalled_since_ >= sockets_.stalled_send()) return close({Closing::Reason::kStalled});
  if (protocol_.next_deadline() <= now()) protocol_.on_time(now());
  if (obey_wish()) update_timer();
}

template <Net N, Protocol P>
void Socket<N, P>::update_timer() {
  // A deadline that moved away is not re-armed: the timer fires early, finds nothing due and comes here again.
  Instant deadline = protocol_.next_deadline();
  if (stalled_since_ != Instant::never()) deadline = std::min(deadline, stalled_since_ + sockets_.stalled_send());
  if (deadline == Instant::never() || (timer_.is_armed() && timer_.deadline() <= deadline)) return;
  sockets_.reactor().arm_at(timer_, deadline);
}

template <Net N, Protocol P>
void Socket<N, P>::close(Closing closing) {
  if (!std::exchange(is_open_, false)) return;
  sockets_.forget(*this);
  sockets_.reactor().disarm(timer_);
  stream_.close();
  sockets_.partials().drop(kept_);
  protocol_.on_closed(closing);
}

}  // namespace weft::net
