// One queue's way to the target: resolves the address, makes and connects a queue pair, moves the connection's work to it, and takes everything down in
// the order that the device needs. Belongs to RdmaTransport; lives until the device has given everything back *and* its owner has let it go.
//
//   kResolving ─► kWaiting (for the device) ─► kCreating ─► kConnecting ─► kConnected ─► kDisconnecting ─► kDraining ─► kRetiring ─► kGone
//       └──────────────┴─── nothing of the device is there yet: the end is reported at once ────────────────────────────────────────────┘
#pragma once
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "core/reactor.h"
#include "host/rdma_connection.h"
#include "verbs/verbs.h"

namespace weft::host {

struct RdmaOptions {
  uint32_t entries = 32;      // of all queues together that are open at a time
  size_t data_bytes = 0;      // what take_memory() will be asked for, each piece rounded up (DataArea::rounded)
  uint16_t descriptors = 1;   // of an I/O command, where the target takes as many
  bool has_windows = false;   // the data of each command gets a key of its own, which the target may invalidate: needs memory windows of type 2

  /// Work requests that a command has posted, at most.
  uint32_t requests_max() const { return has_windows ? RdmaConnection::kRequestsMax : 1; }
};

/// Why a queue pair is no more, in words.
Error error_of(const verbs::Ending& ending);

template <verbs::Verbs V>
class RdmaLink;

/// What a link needs of its transport.
template <verbs::Verbs V>
class RdmaLinkOwner {
 public:
  /// The address leads to `device`; domain_open() or fail() follows, perhaps from inside.
  virtual void on_device(RdmaLink<V>& link, const verbs::Device& device) = 0;
  /// Polls until nothing more has completed.
  virtual void take_in_all() = 0;
  virtual void on_connecting(RdmaLink<V>& link, uint32_t number) = 0;
  /// Nothing completes for that number any more.
  virtual void on_retired(uint32_t number) = 0;

 protected:
  ~RdmaLinkOwner() = default;
};

template <verbs::Verbs V>
class RdmaLink final : private verbs::ResolveEvents<typename V::Handle>, private verbs::QueuePairEvents {
 public:
  /// Outlives: all but `options` outlive the link; `events` until release().
  RdmaLink(Reactor& reactor, V& verbs, RdmaLinkOwner<V>& owner, const QueueOptions& options, QueueEvents& events, const RdmaOptions& ways)
      : reactor_(reactor), verbs_(verbs), owner_(owner), ways_(ways), connection_(options, events, ways.descriptors) {}

  void start(const verbs::Route& route) { verbs_.resolve(route, *this); }
  RdmaConnection& connection() { return connection_; }
  /// The owner of the queue lets go: everything ends, at once for him.
  void release() {
    is_released_ = true;
    connection_.end(Error{Errc::kClosed, "closed by this host"});
  }
  /// Nobody waits for its commands any more, but the target may still reach their data.
  bool is_lingering() const { return is_released_ && life_ != Life::kGone; }
  /// May be destroyed, but not from inside a call of it.
  bool is_over() const { return life_ == Life::kGone && is_released_; }
  /// Needs the device no more.
  bool is_gone() const { return life_ == Life::kGone; }

  void domain_open(typename V::Domain& domain, const RdmaMemory& memory);
  /// There is no way to connect.
  void fail(const Error& reason) {
    connection_.end(reason);
    handle_.reset();
    enter(Life::kGone);
  }
  /// Once per cycle: posts what was staged, ends what wishes to end.
  void flush();

 private:
  enum class Life : uint8_t { kResolving, kWaiting, kCreating, kConnecting, kConnected, kDisconnecting, kDraining, kRetiring, kGone };
  static constexpr Duration kDrainMax = seconds(1);  // a device that never says that it has drained
  static constexpr uint16_t kAnsweredReadsMax = 255;  // one byte in the connection manager's messages

  // verbs::ResolveEvents
  void on_resolved(typename V::Handle handle, const verbs::Device& device) override;
  void on_unresolved(Error error) override { fail(error); }
  // verbs::QueuePairEvents
  void on_ready(Result<void> result) override;
  void on_established(const verbs::Agreement&) override {
    if (life_ != Life::kConnecting) return;
    enter(Life::kConnected);
    connection_.established();
  }
  void on_ended(const verbs::Ending& ending) override;
  void on_drained() override {
    if (life_ == Life::kDraining) retire();
  }
  void on_retired() override;

  void enter(Life next) {
    WEFT_ASSERT(next > life_);
    life_ = next;
    if (life_ == Life::kGone) connection_.release_memory();
  }
  bool is_wanted() const { return connection_.is_alive(); }
  void retire();

  Reactor& reactor_;
  V& verbs_;
  RdmaLinkOwner<V>& owner_;
  const RdmaOptions& ways_;
  Life life_ = Life::kResolving;
  bool is_released_ = false;
  RdmaConnection connection_;
  const verbs::Device* device_ = nullptr;
  std::optional<typename V::Handle> handle_;  // while kWaiting
  std::unique_ptr<typename V::QueuePair> pair_;
  std::optional<Error> ending_;
  Timer drain_timer_ = Timer::calling<&RdmaLink::retire>(this);
};

template <verbs::Verbs V>
void RdmaLink<V>::on_resolved(typename V::Handle handle, const verbs::Device& device) {
  if (!is_wanted()) return fail(Error{Errc::kClosed, "closed by this host"});
  device_ = &device;
  handle_.emplace(std::move(handle));
  enter(Life::kWaiting);
  owner_.on_device(*this, device);
}

template <verbs::Verbs V>
void RdmaLink<V>::domain_open(typename V::Domain& domain, const RdmaMemory& memory) {
  WEFT_ASSERT(life_ == Life::kWaiting);
  if (!is_wanted()) return fail(Error{Errc::kClosed, "closed by this host"});
  if (!connection_.take_memory(memory)) return fail(Error{Errc::kLimit, "more queues than this host has registered memory for"});
  enter(Life::kCreating);
  const uint32_t entries = connection_.options().entries;
  pair_ = verbs_.adopt(domain, std::move(*handle_),
                       {.send_entries = entries * ways_.requests_max(),
                        .receive_entries = entries,
                        .pieces_max = RdmaConnection::kPiecesMax,
                        .windows = ways_.has_windows ? entries : 0},
                       *this);
  handle_.reset();
}

template <verbs::Verbs V>
void RdmaLink<V>::on_ready(Result<void> result) {
  if (!result) return fail(result.error());
  enter(Life::kConnecting);
  for (uint16_t i = 0; ways_.has_windows && i < connection_.options().entries; ++i) connection_.set_window(i, pair_->window(i));
  owner_.on_connecting(*this, pair_->number());
  const rdma::RequestData request = connection_.request();
  pair_->connect({.private_data = bytes_of(request), .answered_reads = std::min(device_->answered_reads_max, kAnsweredReadsMax)});
}

template <verbs::Verbs V>
void RdmaLink<V>::flush() {
  if (life_ <= Life::kWaiting && connection_.wishes_end()) connection_.end(Error{Errc::kClosed, "closed by this host"});
  if (life_ != Life::kConnecting && life_ != Life::kConnected) return;
  connection_.complete_unplaced();
  if (ibv_send_wr* chain = connection_.take_chain()) {
    const verbs::Posted posted = pair_->post_send(chain);
    if (posted.error_number != 0) connection_.close(Error::from_errno(posted.error_number, "the device refuses a capsule"));
  }
  if (is_wanted()) return;
  enter(Life::kDisconnecting);
  pair_->disconnect();
}

template <verbs::Verbs V>
void RdmaLink<V>::on_ended(const verbs::Ending& ending) {
  ending_ = error_of(ending);
  connection_.close(*ending_);
  enter(Life::kDraining);
  reactor_.arm(drain_timer_, kDrainMax);
}

template <verbs::Verbs V>
void RdmaLink<V>::retire() {
  enter(Life::kRetiring);
  reactor_.disarm(drain_timer_);
  owner_.take_in_all();  // receives that were taken for this queue pair
  pair_->retire();
}

/// Only now is the data of commands out of the target's reach.
template <verbs::Verbs V>
void RdmaLink<V>::on_retired() {
  owner_.take_in_all();
  owner_.on_retired(pair_->number());
  connection_.end(*ending_);
  enter(Life::kGone);
}

}  // namespace weft::host
