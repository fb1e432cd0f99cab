#include "sim/connection.h"

#include "base/assert.h"
#include "sim/net.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace weft::sim {

using net::Transfer;

Connection::Connection(Network& network, uint64_t number, size_t host, net::Address local, size_t target,
                       net::Address remote)
    : network_(network),
      number_(number),
      ends_{End{.machine = host, .address = std::move(local), .is_owned = true},
            End{.machine = target, .address = std::move(remote)}} {}

size_t Connection::room(Side from) const {
  if (network_.is_blocked(end(from).machine, end(other(from)).machine)) return 0;
  const size_t held = end(from).in_flight + waiting(other(from));
  return network_.options_.capacity > held ? network_.options_.capacity - held : 0;
}

Transfer Connection::receive(Side side, std::span<const iovec> iovecs) {
  End& here = end(side);
  if (here.state == State::kEnded) {
    tap_closed(side);
    return {.kind = Transfer::Kind::kError, .error_number = here.error_number};
  }
  const size_t there_is = waiting(side);
  if (there_is == 0) {
    if (here.has_end_arrived) return {.kind = Transfer::Kind::kEnd};
    here.wants_read_event = true;
    return {.kind = Transfer::Kind::kWouldBlock};
  }
  const auto& options = network_.options_;
  const bool is_one_byte = options.one_byte_one_in > 0 && network_.random_.one_in(options.one_byte_one_in);
  const size_t most = is_one_byte ? 1 : there_is;
  const auto bytes = std::span<const std::byte>(here.inbox).subspan(here.inbox_taken, most);
  size_t taken = 0;
  for (const iovec& piece : iovecs) {
    const size_t count = std::min(piece.iov_len, bytes.size() - taken);
    if (count > 0) std::memcpy(piece.iov_base, bytes.data() + taken, count);
    taken += count;
  }
  if (tap_ != nullptr) tap_->on_received(side, bytes.first(taken), network_.agenda_.now());
  here.inbox_taken += taken;
  if (waiting(side) == 0) {
    here.inbox.clear();
    here.inbox_taken = 0;
  }
  if (end(other(side)).wants_write_event) {
    // The news that there is room again takes its time.
    network_.agenda_.after(network_.delay(), [self = shared_from_this(), side] { self->make_due(other(side)); });
  }
  const bool is_exhausted = waiting(side) == 0 && !here.has_end_arrived && network_.random_.one_in(2);
  if (is_exhausted) here.wants_read_event = true;
  return {.kind = Transfer::Kind::kBytes, .bytes = taken, .is_exhausted = is_exhausted};
}

Transfer Connection::send(Side side, std::span<const iovec> iovecs) {
  End& here = end(side);
  if (here.state == State::kEnded) {
    tap_closed(side);
    return {.kind = Transfer::Kind::kError, .error_number = here.error_number};
  }
  WEFT_ASSERT(!here.has_finished);
  size_t offered = 0;
  for (const iovec& piece : iovecs) offered += piece.iov_len;
  size_t taken = here.state == State::kOpen ? std::min(offered, room(side)) : 0;
  const bool is_full = taken < offered;
  if (is_full) here.wants_write_event = true;
  if (taken == 0) return {.kind = Transfer::Kind::kWouldBlock};
  const auto& options = network_.options_;
  if (!is_full && options.short_send_one_in > 0 && network_.random_.one_in(options.short_send_one_in)) {
    taken = 1 + network_.random_.below(taken);
  }
  Parcel parcel{Kind::kBytes, std::vector<std::byte>(taken)};
  size_t copied = 0;
  for (const iovec& piece : iovecs) {
    const size_t count = std::min(piece.iov_len, taken - copied);
    if (count > 0) std::memcpy(parcel.bytes.data() + copied, piece.iov_base, count);
    copied += count;
  }
  const bool is_protected = tap_->is_under_digests(side);
  tap_->on_sent(side, parcel.bytes, network_.agenda_.now());
  if (is_protected && options.corrupt_one_in > 0 && network_.random_.one_in(options.corrupt_one_in)) {
    const uint64_t bit = network_.random_.below(taken * 8);
    parcel.bytes[bit / 8] ^= std::byte(1 << (bit % 8));
    network_.trace_.note(network_.agenda_.now(), "net: connection {}: bit {} of {} bytes turned", number_, bit, taken);
  }
  here.in_flight += taken;
  dispatch(side, std::move(parcel));
  return {.kind = Transfer::Kind::kBytes, .bytes = taken, .is_exhausted = is_full};
}

void Connection::watch(Side side, Net& net, net::StreamEvents& events) {
  WEFT_ASSERT(end(side).events == nullptr);
  end(side).net = &net;
  end(side).events = &events;
  make_due(side);
}

void Connection::shutdown_send(Side side) {
  End& here = end(side);
  if (here.state == State::kEnded || here.has_finished) return;
  here.has_finished = true;
  if (tap_ != nullptr) tap_->on_finished(side, network_.agenda_.now());
  dispatch(side, {Kind::kFinish, {}});
}

void Connection::close(Side side) {
  End& here = end(side);
  if (!std::exchange(here.is_owned, false)) return;
  here.events = nullptr;
  here.net = nullptr;
  tap_closed(side);
  if (here.state != State::kOpen) {
    here.state = State::kEnded;
    return;
  }
  network_.trace_.note(network_.agenda_.now(), "net: connection {}: {} closes", number_,
                       side == Side::kHost ? "host" : "target");
  // As TCP does: who closes with bytes unread resets.
  if (waiting(side) > 0) {
    here.state = State::kEnded;
    dispatch(side, {Kind::kReset, {}});
  } else if (!std::exchange(here.has_finished, true)) {
    dispatch(side, {Kind::kFinish, {}});
  }
}

bool Connection::deliver(Side side) {
  End& here = end(side);
  const bool is_over = here.state == State::kEnded;
  const bool is_open = here.state == State::kOpen;
  bool is_any = false;
  if (here.events != nullptr && here.wants_read_event &&
      (is_over || (is_open && (waiting(side) > 0 || here.has_end_arrived)))) {
    here.wants_read_event = false;
    is_any = true;
    here.events->on_readable();
  }
  if (here.events != nullptr && here.wants_write_event && (is_over || (is_open && room(side) > 0))) {
    here.wants_write_event = false;
    is_any = true;
    here.events->on_writable();
  }
  return is_any;
}

void Connection::request() { dispatch(Side::kHost, {Kind::kRequest, {}}); }

void Connection::forget(Side side, bool is_silent) {
  End& here = end(side);
  if (!std::exchange(here.is_owned, false)) return;
  here.events = nullptr;
  here.net = nullptr;
  here.held.clear();
  tap_closed(side);
  const State was = std::exchange(here.state, State::kEnded);
  if (is_silent || was == State::kEnded) return;
  const bool resets = waiting(side) > 0 || network_.random_.one_in(2);
  dispatch(side, {resets ? Kind::kReset : Kind::kFinish, {}});
}

void Connection::resume(Side from) {
  for (End& here = end(from); !here.held.empty(); here.held.pop_front()) schedule(from, std::move(here.held.front()));
  // The news of room was held as well.
  make_due(Side::kHost);
  make_due(Side::kTarget);
}

void Connection::dispatch(Side from, Parcel parcel) {
  End& here = end(from);
  const bool is_held = network_.is_held(here.machine, end(other(from)).machine);
  if (!is_held && !slowness(from) && here.held.empty()) return schedule(from, std::move(parcel));
  here.held.push_back(std::move(parcel));
  if (!is_held && !here.is_trickling) trickle(from);
}

/// Lets a little of what is held go, and comes again; everything, when the link is not slow any more.
void Connection::trickle(Side from) {
  End& here = end(from);
  here.is_trickling = false;
  if (here.held.empty() || network_.is_held(here.machine, end(other(from)).machine)) return;
  const auto pause = slowness(from);
  if (!pause) return resume(from);
  std::vector<std::byte>& bytes = here.held.front().bytes;
  if (bytes.size() > Network::kSlowPieceBytes) {
    const auto rest = bytes.begin() + Network::kSlowPieceBytes;
    schedule(from, {here.held.front().kind, {bytes.begin(), rest}});
    bytes.erase(bytes.begin(), rest);
  } else {
    schedule(from, std::move(here.held.front()));
    here.held.pop_front();
  }
  here.is_trickling = true;
  network_.agenda_.after(*pause, [self = shared_from_this(), from] { self->trickle(from); });
}

std::optional<Duration> Connection::slowness(Side from) const {
  return network_.slowness(end(from).machine, end(other(from)).machine);
}

void Connection::schedule(Side from, Parcel parcel) {
  // Never two at one instant: those would arrive in a drawn order.
  Instant& last = end(from).last_arrival;
  last = std::max(last + nanoseconds(1), network_.agenda_.now() + network_.delay());
  network_.agenda_.at(last, [self = shared_from_this(), from, parcel = std::move(parcel)]() mutable {
    self->arrive(other(from), std::move(parcel));
  });
}

void Connection::arrive(Side at, Parcel parcel) {
  End& here = end(at);
  switch (parcel.kind) {
    case Kind::kRequest:
      return establish();
    case Kind::kAccept:
      if (!here.is_owned) return dispatch(at, {Kind::kReset, {}});
      here.state = State::kOpen;
      return make_due(at);
    case Kind::kRefusal:
      return fail(at, ECONNREFUSED);
    case Kind::kBytes:
      return take_in(at, std::move(parcel.bytes));
    case Kind::kFinish:
      here.has_end_arrived = true;
      return make_due(at);
    case Kind::kReset:
      return fail(at, ECONNRESET);
  }
}

void Connection::establish() {
  End& target = end(Side::kTarget);
  if (network_.is_without_power(target.machine)) return;
  Network::Service* service = network_.find_service(target.address);
  if (service == nullptr) return dispatch(Side::kTarget, {Kind::kRefusal, {}});
  tap_ = network_.taps_.connected(end(Side::kHost).machine, target.machine, target.address, network_.agenda_.now());
  network_.trace_.note(network_.agenda_.now(), "net: connection {}: {}:{} to {}:{}", number_, address(Side::kHost).host,
                       address(Side::kHost).port, target.address.host, target.address.port);
  target.is_owned = true;
  target.state = State::kOpen;
  service->net->accept(shared_from_this(), *service->events);
  dispatch(Side::kTarget, {Kind::kAccept, {}});
}

void Connection::cut_now(Ending ending) {
  if (is_established()) finish_cut(Side::kHost, ending, {});
}

void Connection::take_in(Side at, std::vector<std::byte> bytes) {
  End& here = end(at);
  End& there = end(other(at));
  there.in_flight -= bytes.size();
  if (there.cut && there.cut->bytes <= bytes.size()) {
    bytes.resize(there.cut->bytes);
    finish_cut(other(at), there.cut->ending, std::move(bytes));
    return;
  }
  if (there.cut) there.cut->bytes -= bytes.size();
  if (network_.is_without_power(here.machine)) return;
  if (here.has_end_arrived) return;  // the connection was cut before these
  if (here.state == State::kEnded || !here.is_owned) {
    // Nobody is there to take it.
    here.state = State::kEnded;
    return dispatch(at, {Kind::kReset, {}});
  }
  here.inbox.insert(here.inbox.end(), bytes.begin(), bytes.end());
  make_due(at);
  constexpr size_t kIcReqBytes = 128;  // behind it comes a Connect
  const bool had_no_command = here.arrived <= kIcReqBytes;
  here.arrived += bytes.size();
  if (at == Side::kTarget && had_no_command && here.arrived > kIcReqBytes) network_.spring_ambush(*this);
}

/// The rest of what `from` sends is lost: its peer sees an end, or a reset, after `last`.
void Connection::finish_cut(Side from, Ending ending, std::vector<std::byte> last) {
  const Side at = other(from);
  end(from).cut.reset();
  end(from).held.clear();
  network_.trace_.note(network_.agenda_.now(), "net: connection {}: cut", number_);
  if (end(at).state == State::kOpen && ending == Ending::kFinish) {
    end(at).inbox.insert(end(at).inbox.end(), last.begin(), last.end());
    end(at).has_end_arrived = true;
    make_due(at);
  } else {
    fail(at, ECONNRESET);
  }
  fail(from, ECONNRESET);
}

void Connection::fail(Side at, int error_number) {
  End& here = end(at);
  if (here.state == State::kEnded) return;
  here.state = State::kEnded;
  here.error_number = error_number;
  here.inbox.clear();
  here.inbox_taken = 0;
  make_due(at);
}

void Connection::tap_closed(Side side) {
  if (tap_ != nullptr && !std::exchange(end(side).is_tap_closed, true)) tap_->on_closed(side, network_.agenda_.now());
}

void Connection::make_due(Side side) {
  if (end(side).net != nullptr) end(side).net->make_due(shared_from_this(), side);
}

}  // namespace weft::sim
