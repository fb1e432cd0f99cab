// A queue pair's life: made, accepted or connected, ended, retired. memory_work.cc has its work.
#include "verbs/memory_queue_pair.h"

#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "verbs/memory_verbs.h"

namespace weft::verbs {
namespace {

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

MemoryQueuePair::MemoryQueuePair(MemoryVerbs& verbs, MemoryDomain& domain, Side side, std::shared_ptr<MemoryCall> call, const QueuePairOptions& options,
                                 QueuePairEvents& events)
    : verbs_(verbs), fabric_(verbs.fabric_), domain_(domain), side_(side), call_(std::move(call)), options_(options), events_(events), number_(fabric_.next_number_++) {
  fabric_.pairs_.emplace(number_, this);
  for (uint32_t i = 0; i < options.windows; ++i) {
    const uint32_t key = fabric_.keys_.new_window_key();
    windows_.push_back(std::make_unique<Window>(Window{.mw = {.context = {}, .pd = {}, .rkey = key, .handle = 0, .type = IBV_MW_TYPE_2}, .last_key = key}));
  }
}

MemoryQueuePair::~MemoryQueuePair() {
  if (fabric_.find(number_) == this) leave();
}

void MemoryQueuePair::made(std::optional<Error> error) {
  if (error) {
    if (side_ == Side::kServer) fabric_.reject(*call_, {});
    fabric_.pairs_.erase(number_);
  } else {
    state_ = State::kIdle;
  }
  verbs_.post([this, error = std::move(error)] {
    if (error) return events_.on_ready(std::unexpected(*error));
    events_.on_ready({});
  });
}

// --- the target's side --------------------------------------------------------------------------------------------------------------------------

void MemoryQueuePair::accept(const AcceptOptions& options) {
  fabric_.control(verbs_.machine_, [&fabric = fabric_, number = number_, data = copy_of(options.private_data), reads = options.initiated_reads]() mutable {
    if (MemoryQueuePair* pair = fabric.find(number)) pair->accept_now(std::move(data), reads);
  });
}

void MemoryQueuePair::accept_now(std::vector<std::byte> private_data, uint16_t reads) {
  if (state_ != State::kIdle) return;  // it has ended meanwhile
  WEFT_ASSERT(reads <= call_->answered_reads);
  state_ = State::kConnected;
  peer_ = call_->client;
  peer_machine_ = call_->client_machine;
  reads_max_ = reads;
  tap_ = fabric_.tap(call_->client_machine, verbs_.machine_,
                     {.address = call_->route.to, .request = call_->private_data, .acceptance = private_data, .server_reads = reads});
  fabric_.carry({verbs_.machine_, peer_machine_, 0}, [&fabric = fabric_, client = peer_, server = number_, machine = verbs_.machine_,
                                                      client_machine = peer_machine_, data = std::move(private_data), tap = tap_]() mutable {
    MemoryQueuePair* asking = fabric.find(client);
    const bool is_there = asking != nullptr && asking->state_ == State::kConnecting;
    if (is_there) asking->accepted(server, std::move(data), std::move(tap));
    fabric.carry({client_machine, machine, 0}, [&fabric, server, is_there] {
      if (MemoryQueuePair* pair = fabric.find(server)) pair->client_answered(is_there);
    });
  });
}

/// The last word of the handshake; data may have come before it.
void MemoryQueuePair::client_answered(bool is_there) {
  if (!is_there) return end(Ending::Kind::kUnreachable, ECONNRESET, {});
  if (state_ != State::kConnected && state_ != State::kBroken) return;
  if (fabric_.is_establishment_held) return fabric_.unestablished_.push_back(number_);
  established();
}

void MemoryQueuePair::established() {
  verbs_.post([this, reads = reads_max_] { events_.on_established({.private_data = {}, .initiated_reads = reads}); });
}

// --- the host's side ----------------------------------------------------------------------------------------------------------------------------

void MemoryQueuePair::connect(const ConnectOptions& options) {
  call_->client = number_;
  call_->private_data = copy_of(options.private_data);
  call_->answered_reads = options.answered_reads;
  fabric_.control(verbs_.machine_, [&fabric = fabric_, number = number_] {
    MemoryQueuePair* pair = fabric.find(number);
    if (pair == nullptr || pair->state_ != State::kIdle) return;
    pair->state_ = State::kConnecting;
    pair->asked_at_ = fabric.now();
    fabric.request(pair->call_);
  });
}

void MemoryQueuePair::accepted(uint32_t server, std::vector<std::byte> private_data, std::shared_ptr<MemoryTap> tap) {
  state_ = State::kConnected;
  peer_ = server;
  peer_machine_ = call_->server_machine;
  tap_ = std::move(tap);
  verbs_.post([this, data = std::move(private_data)] { events_.on_established({.private_data = data, .initiated_reads = 0}); });
}

// --- the end ------------------------------------------------------------------------------------------------------------------------------------

void MemoryQueuePair::disconnect() {
  tap_ended();
  fabric_.control(verbs_.machine_, [&fabric = fabric_, number = number_] {
    MemoryQueuePair* pair = fabric.find(number);
    if (pair == nullptr || pair->state_ == State::kEnded) return;
    pair->tell_peer();
    pair->end(Ending::Kind::kDisconnected, 0, {});
  });
}

/// The connection manager's last message.
void MemoryQueuePair::tell_peer() {
  if (peer_ == 0) return;
  fabric_.carry({verbs_.machine_, peer_machine_, 0}, [&fabric = fabric_, peer = peer_] {
    if (MemoryQueuePair* pair = fabric.find(peer)) pair->end(Ending::Kind::kDisconnected, 0, {});
  });
}

void MemoryQueuePair::end(Ending::Kind kind, int error_number, std::vector<std::byte> private_data) {
  if (state_ == State::kMaking || std::exchange(state_, State::kEnded) == State::kEnded) return;
  flush();
  verbs_.post([this, kind, error_number, data = std::move(private_data)] {
    tap_ended();
    events_.on_ended({.kind = kind, .error_number = error_number, .private_data = data});
  });
  if (fabric_.is_drain_silent) return;
  fabric_.drained(verbs_.machine_, [&fabric = fabric_, number = number_] {
    if (MemoryQueuePair* pair = fabric.find(number)) pair->verbs_.post([pair] { pair->events_.on_drained(); });
  });
}

void MemoryQueuePair::retire() {
  tap_ended();
  fabric_.control(verbs_.machine_, [&fabric = fabric_, number = number_] {
    MemoryQueuePair* pair = fabric.find(number);
    if (pair == nullptr) return;
    pair->leave();
    pair->verbs_.post([pair] { pair->events_.on_retired(); });
  });
}

/// Out of the device. What has completed stays in the completion queue.
void MemoryQueuePair::leave() {
  if (state_ == State::kConnected || state_ == State::kBroken) tell_peer();
  const bool is_unanswered = state_ == State::kIdle || state_ == State::kMaking;
  if (is_unanswered && side_ == Side::kServer) fabric_.reject(*call_, {});
  state_ = State::kEnded;
  flush();
  for (const Lent& lent : lent_) check(lent);
  tap_ended();
  fabric_.keys_.remove_pair(number_);
  fabric_.pairs_.erase(number_);
}

void MemoryQueuePair::tap_ended() {
  if (const auto tap = std::exchange(tap_, nullptr)) tap->on_ended(tap_end());
}

}  // namespace weft::verbs
