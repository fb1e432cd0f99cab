// What one reactor has on one RDMA device: a domain with its completion queue and the receives that all share, the memory that the device may reach, and the
// connections. Opened by the first request that comes over the device, closed when the device goes or the transport stops. Belongs to the StationSet.
#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/simulation.h"
#include "core/rdma_memory.h"
#include "transport/rdma/pair_driver.h"

namespace weft::rdma {

template <verbs::Verbs V>
class Station final : private verbs::DomainEvents, private StationLink {
 public:
  using Offer = ConnectionOffer<V>;

  /// Starts to open. Outlives: `verbs`, `shared` and `device` outlive the station.
  Station(V& verbs, Shared& shared, MemorySource& memory, const verbs::Device& device);
  /// Requires: is_closed().
  ~Station() override { WEFT_ASSERT(drivers_ == 0 && phase_ == Phase::kClosed); }

  const verbs::Device& device() const { return device_; }
  /// Takes no new connection: it opens no more, or closes.
  bool is_leaving() const { return phase_ >= Phase::kLeaving; }
  bool is_closed() const { return phase_ == Phase::kClosed && retired_.empty(); }
  /// Makes a connection of the offer, or refuses it, now or when the device is open.
  void take(Offer offer);
  /// No connection is taken any more; closes when the last one is gone.
  void leave();

  size_t poll();
  void flush();
  bool prepare_sleep();

 private:
  using Driver = PairDriver<V>;
  enum class Phase : uint8_t {
    kOpening,
    kOpen,
    kLeaving,  // the device has gone, or the transport stops: waits for the connections
    kClosing,
    kClosed,
  };
  static constexpr size_t kBatch = 64;         // completions taken from the device at once
  static constexpr size_t kBatchesPerPoll = 8;  // so that one device does not hold up the reactor

  // verbs::DomainEvents
  void on_open(Result<void> result) override;
  void on_completions() override { is_armed_ = false; }
  void on_receives_low() override;
  void on_removed() override;
  void on_closed() override { phase_ = Phase::kClosed; }

  // StationLink
  void make_dirty(FlushTurn& turn) override {
    if (!turn.link.is_linked()) dirty_.push_back(turn);
  }
  void give_back(ReceiveSlot& slot) override { receives_->give_back(slot); }
  void take_in_all() override {
    while (take_in() > 0) {}
  }
  void add(uint32_t number, Connection& connection) override { by_number_[number] = &connection; }
  void remove(uint32_t number) override { by_number_.erase(number); }
  void retire(FlushTurn& turn, const Reservation& reservation) override;

  Result<verbs::DomainOptions> plan();
  size_t take_in();
  void take(const ibv_wc& completion);
  void post_receives();
  void refuse(Offer offer, RejectStatus why);
  void close_if_left();
  Reactor& reactor() { return shared_.shard.reactor(); }
  const Limits& limits() const { return shared_.shard.limits(); }

  V& verbs_;
  Shared& shared_;
  MemorySource& memory_;
  const verbs::Device& device_;
  Phase phase_ = Phase::kOpening;
  bool is_armed_ = false;
  std::unique_ptr<Receives> receives_;
  std::unique_ptr<typename V::Domain> domain_;
  ShareKeys keys_{};
  uint32_t receives_free_ = 0;     // not reserved by a connection
  uint32_t completions_free_ = 0;
  size_t drivers_ = 0;  // that own themselves: from start() to retire()
  std::vector<Offer> offers_;  // while kOpening
  std::unordered_map<uint32_t, Connection*> by_number_;  // of the queue pair
  IntrusiveList<FlushTurn, &FlushTurn::link> dirty_;
  std::vector<FlushTurn*> flushing_;
  std::vector<std::unique_ptr<FlushTurn>> retired_;
  RateLimit log_limit_;
};

/// The shares that a device moves data to and from. In-capsule data and scratch are only copied and computed by us.
inline constexpr std::array kRegisteredShares{Share::kAdmin, Share::kTransfer, Share::kRead, Share::kFused};
inline constexpr size_t kLowReceives = 16;  // fewer left in the shared receive queue are worth a line in the log

template <verbs::Verbs V>
Station<V>::Station(V& verbs, Shared& shared, MemorySource& memory, const verbs::Device& device)
    : verbs_(verbs), shared_(shared), memory_(memory), device_(device) {
  const auto options = plan();
  if (options) {
    domain_ = verbs_.open(device_, *options, *this);
  } else {
    on_open(std::unexpected(options.error()));
  }
}

/// What to open: as much as the limits and the device allow.
template <verbs::Verbs V>
Result<verbs::DomainOptions> Station<V>::plan() {
  const size_t slot_bytes = rdma_capsule_bytes(limits());
  WEFT_ASSERT(slot_bytes >= sizeof(nvme::Sqe) + nvmf::kRdmaDescriptorsMax * sizeof(nvme::SglDescriptor));
  receives_free_ = std::min(WEFT_PLANTED("rdma-receives-overcommitted") ? 40 : limits().rdma_receives, device_.receive_entries_max);
  completions_free_ = std::min(limits().rdma_completions, device_.completion_entries_max);
  auto region = memory_.map(receives_free_ * slot_bytes, "RDMA capsules");
  if (!region) return std::unexpected(region.error());
  receives_ = std::make_unique<Receives>(std::move(*region), receives_free_, slot_bytes);
  verbs::DomainOptions options{.completion_entries = completions_free_, .receive_entries = receives_free_};
  options.regions.push_back({receives_->memory(), IBV_ACCESS_LOCAL_WRITE});
  for (const Share share : kRegisteredShares) {
    // Also what the device only reads: registered without LOCAL_WRITE, pages never touched would be the kernel's zero page for ever.
    const bool is_read_sink = share != Share::kRead;
    const int access = IBV_ACCESS_LOCAL_WRITE | (is_read_sink && device_.is_read_sink_remote() ? IBV_ACCESS_REMOTE_WRITE : 0);
    options.regions.push_back({shared_.shard.buffers().region(share), access});
  }
  return options;
}

template <verbs::Verbs V>
void Station<V>::on_open(Result<void> result) {
  if (!result) {
    reactor().log().error("rdma: {}: {}; nobody can connect over it", device_.name, result.error().what());
    phase_ = Phase::kClosed;
    for (Offer& offer : std::exchange(offers_, {})) refuse(std::move(offer), RejectStatus::kNoResources);
    return;
  }
  if (phase_ == Phase::kOpening) phase_ = Phase::kOpen;
  receives_->set_key(domain_->local_key(0));
  for (size_t i = 0; i < kRegisteredShares.size(); ++i) keys_[size_t(kRegisteredShares[i])] = domain_->local_key(i + 1);
  post_receives();
  domain_->set_receive_limit(kLowReceives);
  for (Offer& offer : std::exchange(offers_, {})) take(std::move(offer));
  close_if_left();
}

template <verbs::Verbs V>
void Station<V>::take(Offer offer) {
  if (phase_ == Phase::kOpening) {
    WEFT_PROBE("rdma/request-waits-for-the-device");
    return offers_.push_back(std::move(offer));
  }
  const uint32_t entries = offer.acceptance.request.send_entries;
  const Reservation needed{.receives = WEFT_PLANTED("rdma-receives-overcommitted") ? 1 : entries, .completions = entries + Connection::send_entries_for(entries)};
  const bool has_room = needed.receives <= receives_free_ && needed.completions <= completions_free_ &&
                        Connection::send_entries_for(entries) <= device_.queue_pair_entries_max;
  if (is_leaving() || !has_room || shared_.shard.is_stopping()) return refuse(std::move(offer), RejectStatus::kNoResources);
  receives_free_ -= needed.receives;
  completions_free_ -= needed.completions;
  ++drivers_;
  StationLink& link = *this;
  auto driver = std::make_unique<Driver>(link, shared_, device_, keys_, offer, needed);
  driver.release()->start(verbs_, *domain_, std::move(offer));  // its own until retire()
}

template <verbs::Verbs V>
void Station<V>::refuse(Offer offer, RejectStatus why) {
  if (log_limit_.allow(reactor().now())) {
    reactor().log().warn("rdma: {}: refused over {}: {} ({} more not shown)", offer.origin.peer_host, device_.name, name_of(why),
                         log_limit_.suppressed());
  }
  verbs_.reject(std::move(offer.handle), bytes_of(encode(why)));
  offer.on_gone();
}

template <verbs::Verbs V>
void Station<V>::retire(FlushTurn& turn, const Reservation& reservation) {
  if (turn.link.is_linked()) turn.link.unlink();
  std::ranges::replace(flushing_, &turn, static_cast<FlushTurn*>(nullptr));
  retired_.emplace_back(&turn);
  receives_free_ += reservation.receives;
  completions_free_ += reservation.completions;
  --drivers_;
  close_if_left();
}

template <verbs::Verbs V>
void Station<V>::leave() {
  if (is_leaving()) return;
  const bool is_opening = phase_ == Phase::kOpening;
  phase_ = Phase::kLeaving;
  if (!is_opening) close_if_left();  // else on_open() does
}

template <verbs::Verbs V>
void Station<V>::close_if_left() {
  if (phase_ != Phase::kLeaving || drivers_ > 0) return;
  phase_ = Phase::kClosing;
  domain_->close();
}

template <verbs::Verbs V>
void Station<V>::on_removed() {
  WEFT_PROBE("rdma/device-goes");
  reactor().log().warn("rdma: {} has gone", device_.name);
  leave();
}

template <verbs::Verbs V>
void Station<V>::on_receives_low() {
  if (log_limit_.allow(reactor().now())) {
    reactor().log().warn("rdma: {}: fewer than {} receives are left: hosts send more capsules than they may, or buffers are short ({} more not shown)",
                         device_.name, kLowReceives, log_limit_.suppressed());
  }
  if (phase_ <= Phase::kLeaving) domain_->set_receive_limit(kLowReceives);
}

// --- work ---------------------------------------------------------------------------------------------------------------------------------------

template <verbs::Verbs V>
size_t Station<V>::poll() {
  const size_t retired = retired_.size();
  retired_.clear();
  if (phase_ != Phase::kOpen && phase_ != Phase::kLeaving) return retired;
  size_t count = retired;
  for (size_t batch = 0; batch < kBatchesPerPoll; ++batch) {
    const size_t taken = take_in();
    count += taken;
    if (taken < kBatch) break;
  }
  return count;
}

template <verbs::Verbs V>
size_t Station<V>::take_in() {
  std::array<ibv_wc, kBatch> completions;
  const int count = domain_->poll(completions);
  if (count < 0) return 0;  // on_removed() comes
  for (int i = 0; i < count; ++i) take(completions[size_t(i)]);
  return size_t(count);
}

template <verbs::Verbs V>
void Station<V>::take(const ibv_wc& completion) {
  const auto found = by_number_.find(completion.qp_num);
  Connection* connection = found == by_number_.end() ? nullptr : found->second;  // null: its queue pair has been destroyed meanwhile
  if ((completion.wr_id & kReceiveBit) == 0) {
    if (connection != nullptr) connection->completed(completion);
    return;
  }
  ReceiveSlot& slot = receives_->slot(completion.wr_id);
  if (connection == nullptr || completion.status != IBV_WC_SUCCESS) {
    receives_->give_back(slot);
    if (connection != nullptr) connection->failed(completion.status);
    return;
  }
  connection->received(slot, std::min<uint32_t>(completion.byte_len, uint32_t(slot.bytes.size())));
}

template <verbs::Verbs V>
void Station<V>::post_receives() {
  ibv_recv_wr* list = receives_->take_list();
  if (list == nullptr) return;
  const verbs::Posted posted = domain_->post_receive(list);
  if (posted.error_number == 0) return;
  reactor().log().error("rdma: {}: receives cannot be posted, error {}; the device is given up", device_.name, posted.error_number);
  leave();
}

/// Receives before sends: a response lets the host send its next capsule.
template <verbs::Verbs V>
void Station<V>::flush() {
  if (phase_ != Phase::kOpen && phase_ != Phase::kLeaving) return;
  while (FlushTurn* turn = dirty_.pop_front()) flushing_.push_back(turn);
  for (size_t i = 0; i < flushing_.size(); ++i) {
    if (flushing_[i] != nullptr) flushing_[i]->prepare();
  }
  post_receives();
  for (size_t i = 0; i < flushing_.size(); ++i) {
    if (flushing_[i] == nullptr) continue;
    if (flushing_[i]->link.is_linked()) flushing_[i]->link.unlink();  // prepare() has asked again for what is done now
    flushing_[i]->post();
  }
  flushing_.clear();
}

template <verbs::Verbs V>
bool Station<V>::prepare_sleep() {
  if (!dirty_.empty()) return false;
  if (is_armed_ || (phase_ != Phase::kOpen && phase_ != Phase::kLeaving)) return true;
  domain_->arm();
  is_armed_ = true;
  return take_in() == 0;  // what has come before it was armed wakes nobody
}

}  // namespace weft::rdma
