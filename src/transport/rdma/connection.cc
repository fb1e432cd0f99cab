#include "transport/rdma/connection.h"

#include <algorithm>
#include <bit>

#include "base/simulation.h"

namespace weft::rdma {
namespace {

constexpr uint32_t kSendEntriesMin = 64;  // the longest response takes 17, and two fit into half of a queue

}  // namespace

Connection::Connection(Shared& shared, ConnectionOwner& owner, nvmf::Origin origin, const Settings& settings)
    : shared_(shared),
      owner_(owner),
      settings_(settings),
      queue_(shared.shard, *this, std::move(origin)),
      ring_(settings.send_entries, settings.device.reads_silent_data_late ? SendRing::Writes::kSignalled : SendRing::Writes::kSilent),
      accepted_(shared.shard.reactor().now()),
      progress_(accepted_) {
  WEFT_ASSERT(settings.reads_max > 0 && settings.send_entries >= kSendEntriesMin);
  queue_.lend_at_most(0);  // media memory is not registered with the device
  shared_.counters.accepted.add(1);
}

Connection::~Connection() = default;

uint32_t Connection::send_entries_for(uint32_t host_entries) {
  return std::max(kSendEntriesMin, std::bit_ceil(2 * host_entries));  // WRITE and SEND for each command; longer ones wait for room
}

void Connection::enter(Phase phase) {
  if (phase <= phase_) return;
  phase_ = phase;
  if (phase_ == Phase::kEnding) {
    drop_capsules();
    while (fetching_.pop_front() != nullptr) {}    // the queue frees the commands itself: see ended()
    while (responding_.pop_front() != nullptr) {}
  }
  owner_.wants_flush(*this);
}

void Connection::established() { enter(Phase::kLive); }

/// A host that has not been heard of for so long takes no responses either.
void Connection::close(nvmf::CloseReason reason) {
  const bool is_host_gone = reason == nvmf::CloseReason::kKeepAliveExpired;
  if (phase_ == Phase::kAccepting || is_host_gone || !has_rest()) return enter(Phase::kEnding);
  WEFT_PROBE("rdma/lingers");
  linger_deadline_ = reactor().now() + limit_ms(&Limits::rdma_linger_ms);
  enter(Phase::kLingering);
}

/// Responses that have not left.
bool Connection::has_rest() const { return !responding_.empty() || !ring_.empty(); }

void Connection::completed(const ibv_wc& completion) {
  if (phase_ == Phase::kEnding) return;
  if (completion.status != IBV_WC_SUCCESS) return failed(completion.status);
  progress_ = reactor().now();
  ring_.complete(completion.wr_id, [this](SendRing::Done what) {
    phase_ == Phase::kEnding ? free(what.buffer) : done(what);
  });
  if (!fetching_.empty() || !responding_.empty() || phase_ == Phase::kLingering) owner_.wants_flush(*this);
}

void Connection::prepare() {
  take_kept();
  while (nvmf::Command* command = responding_.front()) {
    if (!stage_response(*command)) break;
    command->link.unlink();
  }
  if (responding_.empty()) stage_reads();  // what frees buffers comes first
  if (phase_ == Phase::kLingering && !has_rest()) enter(Phase::kEnding);
}

ibv_send_wr* Connection::take_chain() {
  if (!may_send() || !ring_.has_staged()) return nullptr;
  // Unsignalled, the last response would keep its buffer until something else happens; so it may only be where something else will.
  const bool is_at_rest = queue_.outstanding() <= ring_.responses_staged();
  const bool is_wanted = !responding_.empty() || !fetching_.empty() || phase_ == Phase::kLingering || shared_.shard.buffers().has_waiters();
  // Of an admin queue it may be an event request that is outstanding, for ever.
  if (is_at_rest || is_wanted || queue_.is_admin()) ring_.signal_last();
  if (ring_.awaits_completion()) progress_ = reactor().now();
  // A posted response is the end of its command for the host, which may send another one with its CID at once.
  return ring_.take_chain([this](nvmf::Command& command) { queue_.responded(command); });
}

Instant Connection::handshake_deadline() const {
  const bool is_connected = queue_.state() != nvmf::QueueState::kFresh && queue_.state() != nvmf::QueueState::kConnecting;
  return is_connected ? Instant::never() : accepted_ + limit_ms(&Limits::handshake_ms);
}

Instant Connection::next_deadline() const {
  if (phase_ == Phase::kEnding) return Instant::never();
  Instant deadline = std::min(handshake_deadline(), linger_deadline_);
  if (ring_.awaits_completion()) deadline = std::min(deadline, progress_ + limit_ms(&Limits::stalled_send_ms));
  return deadline;
}

void Connection::on_time(Instant now) {
  if (phase_ == Phase::kEnding) return;
  if (linger_deadline_ <= now) {
    WEFT_PROBE("rdma/lingers-too-long");
    return enter(Phase::kEnding);
  }
  if (handshake_deadline() <= now) {
    WEFT_PROBE("rdma/handshake-times-out");
    return time_out("no Connect in time");
  }
  if (ring_.awaits_completion() && progress_ + limit_ms(&Limits::stalled_send_ms) <= now) {
    WEFT_PROBE("rdma/peer-answers-nothing");
    time_out("work requests do not get done");
  }
}

void Connection::time_out(std::string_view what) {
  shared_.counters.timeouts.add(1);
  tell(EventLog::Kind::kTimeout, "{}; the connection ends", what);
  enter(Phase::kEnding);
}

void Connection::violate(std::string_view what) {
  shared_.counters.violations.add(1);
  tell(EventLog::Kind::kViolation, "{}; the connection ends", what);
  enter(Phase::kEnding);
}

void Connection::failed(ibv_wc_status status) {
  // Flushed: the queue pair has ended, by the host's will or after an error that was told before; the event is on its way.
  if (status == IBV_WC_WR_FLUSH_ERR) return enter(Phase::kEnding);
  fail("a work request has failed, status", int(status));
}

void Connection::fail(std::string_view what, int detail) {
  if (phase_ == Phase::kEnding) return;
  WEFT_PROBE("rdma/work-request-fails");
  shared_.counters.failures.add(1);
  tell(EventLog::Kind::kTermination, "{} {}; the connection ends", what, detail);
  enter(Phase::kEnding);
}

void Connection::drop_capsules() {
  stalled_ = nullptr;
  kept_count_ = 0;
  while (ReceiveSlot* slot = kept_.pop_front()) owner_.give_back(*slot);
  while (ReceiveSlot* slot = lists_.pop_front()) owner_.give_back(*slot);
}

void Connection::ended() {
  enter(Phase::kEnding);
  if (queue_.state() == nvmf::QueueState::kDetached) return;
  ring_.keep_sinks();
  queue_.detach();
}

void Connection::gone() {
  ended();
  ring_.drop_all([this](SendRing::Done what) { free(what.buffer); });
  is_gone_ = true;
  finish_if_over();
}

void Connection::on_detached() {
  is_home_ = true;
  finish_if_over();
}

void Connection::finish_if_over() {
  if (is_home_ && is_gone_) owner_.on_finished(*this);
}

void Connection::free(HeldBuffer buffer) {
  if (!buffer.bytes.empty()) shared_.shard.buffers().free(buffer.share, buffer.bytes);
}

}  // namespace weft::rdma
