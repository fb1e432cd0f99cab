// One connection with its queue pair: drives both through their life, from the request to the destruction. Belongs to itself, until it has retired
// to its Station.
//
//   kCreating ─ready─► kRunning ─wishes end─► kDisconnecting ─ended─► kDraining ─drained or late─► kRetiring ─retired─► kGone
//       └─failed──────────────────────────────────────────────────────────────────────────────────────────────────────────┘
#pragma once
#include <functional>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "base/simulation.h"
#include "core/timer.h"
#include "transport/rdma/accept_rules.h"
#include "transport/rdma/connection.h"
#include "verbs/verbs.h"

namespace weft::rdma {

/// A request that was judged right, on its way to a reactor.
template <verbs::Verbs V>
struct ConnectionOffer {
  typename V::Handle handle;
  Acceptance acceptance;
  nvmf::Origin origin;
  std::move_only_function<void()> on_gone;  // the connection is over, or never came to be
};

/// Places in the queues of the station that a connection keeps free for itself.
struct Reservation {
  uint32_t receives = 0;
  uint32_t completions = 0;
};

/// A driver's place in the flush of its station; the part of PairDriver that is no template.
class FlushTurn {
 public:
  FlushTurn() = default;
  FlushTurn(const FlushTurn&) = delete;
  FlushTurn& operator=(const FlushTurn&) = delete;
  virtual ~FlushTurn() = default;
  virtual void prepare() = 0;
  virtual void post() = 0;
  Link link;
};

/// What a driver needs of its station.
class StationLink {
 public:
  virtual void make_dirty(FlushTurn& turn) = 0;
  virtual void give_back(ReceiveSlot& slot) = 0;
  /// Polls until nothing more has completed.
  virtual void take_in_all() = 0;
  virtual void add(uint32_t number, Connection& connection) = 0;
  virtual void remove(uint32_t number) = 0;
  /// The driver is the station's now, to be destroyed later.
  virtual void retire(FlushTurn& turn, const Reservation& reservation) = 0;

 protected:
  virtual ~StationLink() = default;
};

template <verbs::Verbs V>
class PairDriver final : public FlushTurn, private ConnectionOwner, private verbs::QueuePairEvents {
 public:
  using Offer = ConnectionOffer<V>;

  PairDriver(StationLink& station, Shared& shared, const verbs::Device& device, const ShareKeys& keys, const Offer& offer, const Reservation& reservation)
      : station_(station),
        shared_(shared),
        acceptance_(offer.acceptance),
        reservation_(reservation),
        connection_(shared, *this, offer.origin,
                    {.device = device,
                     .keys = keys,
                     .request = offer.acceptance.request,
                     .send_entries = Connection::send_entries_for(offer.acceptance.request.send_entries),
                     .reads_max = offer.acceptance.reads_max}) {}

  void start(V& verbs, typename V::Domain& domain, Offer offer) {
    on_gone_ = std::move(offer.on_gone);
    const verbs::QueuePairOptions options{.send_entries = Connection::send_entries_for(acceptance_.request.send_entries),
                                          .receive_entries = acceptance_.request.send_entries,
                                          .inline_bytes = sizeof(nvme::Cqe)};
    pair_ = verbs.adopt(domain, std::move(offer.handle), options, *this);
    update_timer();
  }

  void prepare() override { connection_.prepare(); }
  void post() override;

 private:
  enum class Life : uint8_t { kCreating, kRunning, kDisconnecting, kDraining, kRetiring, kGone };

  // verbs::QueuePairEvents
  void on_ready(Result<void> result) override;
  void on_established(const verbs::Agreement&) override { connection_.established(); }
  void on_ended(const verbs::Ending& ending) override;
  void on_drained() override {
    if (life_ == Life::kDraining) retire_pair();
  }
  void on_retired() override;

  // ConnectionOwner
  void wants_flush(Connection&) override { station_.make_dirty(*this); }
  void give_back(ReceiveSlot& slot) override { station_.give_back(slot); }
  void on_finished(Connection&) override;

  void enter(Life next) {
    WEFT_ASSERT(next > life_);
    life_ = next;
  }
  void retire_pair();
  void on_timer();
  void update_timer();
  Reactor& reactor() { return shared_.shard.reactor(); }

  StationLink& station_;
  Shared& shared_;
  Acceptance acceptance_;
  Reservation reservation_;
  Life life_ = Life::kCreating;
  std::move_only_function<void()> on_gone_;
  Connection connection_;
  std::unique_ptr<typename V::QueuePair> pair_;
  Instant drain_deadline_ = Instant::never();
  Timer timer_ = Timer::calling<&PairDriver::on_timer>(this);
};

template <verbs::Verbs V>
void PairDriver<V>::on_ready(Result<void> result) {
  if (!result) {
    WEFT_PROBE("rdma/no-queue-pair");
    reactor().log().warn("rdma: {}: no queue pair: {}", connection_.queue().origin().peer_host, result.error().what());
    enter(Life::kGone);
    return connection_.gone();
  }
  enter(Life::kRunning);
  station_.add(pair_->number(), connection_);
  station_.make_dirty(*this);  // it may wish to end already
  const AcceptData data = encode_accept(uint16_t(std::min<uint32_t>(acceptance_.request.send_entries, 0xffff)));
  pair_->accept({.private_data = bytes_of(data), .initiated_reads = acceptance_.reads_max});
}

template <verbs::Verbs V>
void PairDriver<V>::post() {
  if (life_ != Life::kRunning) return;
  if (ibv_send_wr* chain = connection_.take_chain()) {
    const verbs::Posted posted = pair_->post_send(chain);
    if (posted.error_number != 0) connection_.fail("work requests are refused, error", posted.error_number);
  }
  if (connection_.wishes_end()) {
    enter(Life::kDisconnecting);
    connection_.ended();
    pair_->disconnect();
  }
  update_timer();
}

template <verbs::Verbs V>
void PairDriver<V>::on_ended(const verbs::Ending&) {
  connection_.ended();
  enter(Life::kDraining);
  drain_deadline_ = reactor().now() + milliseconds(shared_.shard.limits().rdma_drain_ms);
  update_timer();
}

template <verbs::Verbs V>
void PairDriver<V>::retire_pair() {
  enter(Life::kRetiring);
  drain_deadline_ = Instant::never();
  station_.take_in_all();  // receives that were taken for this queue pair
  pair_->retire();
}

template <verbs::Verbs V>
void PairDriver<V>::on_retired() {
  station_.take_in_all();  // what is left of its completions, before another queue pair has its number
  station_.remove(pair_->number());
  enter(Life::kGone);
  connection_.gone();
}

template <verbs::Verbs V>
void PairDriver<V>::on_finished(Connection&) {
  reactor().disarm(timer_);
  shared_.counters.finished.add(1);
  auto on_gone = std::move(on_gone_);
  station_.retire(*this, reservation_);
  on_gone();
}

template <verbs::Verbs V>
void PairDriver<V>::on_timer() {
  if (drain_deadline_ <= reactor().now()) {
    WEFT_PROBE("rdma/never-drained");
    return retire_pair();
  }
  connection_.on_time(reactor().now());
  update_timer();
}

template <verbs::Verbs V>
void PairDriver<V>::update_timer() {
  // A deadline that moved away is not re-armed: the timer fires early, finds nothing due and comes here again.
  const Instant deadline = std::min(drain_deadline_, connection_.next_deadline());
  if (deadline == Instant::never() || (timer_.is_armed() && timer_.deadline() <= deadline)) return;
  reactor().arm_at(timer_, deadline);
}

}  // namespace weft::rdma
