#include "transport/tcp/connection.h"

#include <algorithm>
#include <utility>

#include "base/simulation.h"

namespace weft::tcp {

namespace {

constexpr uint32_t kOwnReceiveMin = 32 << 10;  // bytes of a command's data; below, what a receive costs is more than a second copy

}  // namespace

static_assert(net::PausingProtocol<Connection> && net::AnsweringProtocol<Connection>);

Connection::Connection(Shared& shared, ConnectionOwner& owner, nvmf::Origin origin)
    : shared_(shared),
      owner_(owner),
      queue_(shared.shard, *this, std::move(origin)),
      send_queue_(shared.blocks),
      accepted_(shared.shard.reactor().now()) {
  session_.maxh2cdata = shared.shard.limits().maxh2cdata_bytes;
  if (WEFT_PLANTED("maxh2cdata-above-limit")) session_.maxh2cdata += 4096;
  shared_.counters.accepted.add(1);
}

size_t Connection::receive_max() const {
  if (is_paused_) {
    WEFT_PROBE("tcp/reading-is-paused");
    return 0;
  }
  // While buffers for in-capsule data are short, one PDU at a time: a queue that stalls leaves the rest of its receive in memory of its own.
  // A receive of the whole buffer brings at most as many capsules as a queue has slots, and each takes at most one in-capsule buffer.
  const Limits& limits = shared_.shard.limits();
  const size_t burst = size_t{limits.queue_entries} * BuddyAllocator::kUnit;
  if (!queue_.has_in_capsule_room(burst)) return kPartialMax;
  // Large data is worth a receive of its own, straight into its buffer: what comes in front of it should bring little of it.
  const nvmf::Command* oldest = transfers_.front();
  return oldest != nullptr && oldest->transfer_length >= kOwnReceiveMin ? kPartialMax : limits.receive_buffer_bytes;
}

std::span<const iovec> Connection::pending(std::span<iovec> room) {
  is_announced_ = false;
  take_done();  // marks of commands that were answered after a termination
  return send_queue_.gather(room, shared_.shard.limits().send_bytes);
}

void Connection::sent(size_t bytes, Instant) {
  send_queue_.sent(bytes);
  take_done();
}

void Connection::take_done() {
  while (nvmf::Command* command = send_queue_.take_done()) queue_.responded(*command);
}

Instant Connection::handshake_deadline() const {
  const bool is_connected = queue_.state() != nvmf::QueueState::kFresh && queue_.state() != nvmf::QueueState::kConnecting;
  return is_connected ? Instant::never() : accepted_ + limit_ms(&Limits::handshake_ms);
}

Instant Connection::next_deadline() const {
  if (wish_ != net::Wish::kStay) return termination_deadline_;
  Instant deadline = handshake_deadline();
  if (nvmf::Command* oldest = transfers_.front()) deadline = std::min(deadline, transfer_of(*oldest).deadline);
  return deadline;
}

void Connection::on_time(Instant now) {
  if (termination_deadline_ <= now) {
    WEFT_PROBE("tcp/terminated-peer-stays");
    return wish_for(net::Wish::kClose);
  }
  if (wish_ != net::Wish::kStay) return;
  if (handshake_deadline() <= now) {
    WEFT_PROBE("tcp/handshake-times-out");
    return time_out("no Connect in time");
  }
  if (nvmf::Command* oldest = transfers_.front(); oldest != nullptr && transfer_of(*oldest).deadline <= now) {
    WEFT_PROBE("tcp/r2t-times-out");
    time_out("data asked for by R2T did not come in time");
  }
}

void Connection::time_out(std::string_view what) {
  shared_.counters.timeouts.add(1);
  tell(EventLog::Kind::kTimeout, "{}; the connection ends", what);
  wish_for(net::Wish::kClose);
}

void Connection::resume() {
  is_paused_ = false;
  outlet_->wants_receive();
}

void Connection::close(nvmf::CloseReason) { wish_for(net::Wish::kCloseSent); }

void Connection::wish_for(net::Wish wish) {
  if (wish <= wish_) return;
  wish_ = wish;
  outlet_->wants_send();
}

void Connection::on_closed(net::Closing closing) {
  if (closing.reason == net::Closing::Reason::kStalled) {
    WEFT_PROBE("tcp/peer-takes-nothing");
    tell(EventLog::Kind::kStall, "has taken no byte for {} ms; the connection ends", shared_.shard.limits().stalled_send_ms);
  }
  wish_ = net::Wish::kClose;
  if (incoming_ != nullptr) WEFT_PROBE("tcp/closed-within-data");
  if (stalled_ != nullptr) WEFT_PROBE("tcp/closed-while-paused");
  while (transfers_.pop_front() != nullptr) {}
  incoming_ = stalled_ = nullptr;
  send_queue_.clear();  // the queue frees the commands itself
  queue_.detach();
}

}  // namespace weft::tcp
