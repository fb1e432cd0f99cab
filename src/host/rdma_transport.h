// NVMe/RDMA over any verbs: one device, one domain with all of this host's memory, and a link for each queue. Belongs to one reactor, as a poller
// of it. One registration holds all data: a command whose data lies in take_memory()'s is not copied, any other goes through a piece of the rest.
#pragma once
#include <array>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "host/rdma_link.h"
#include "verbs/receives.h"

namespace weft::host {

template <verbs::Verbs V>
class RdmaQueue final : public Queue {
 public:
  explicit RdmaQueue(RdmaLink<V>& link) : link_(link) {}
  /// Commands end at once, but the target may still reach their data until the transport is_idle(): what is not the transport's memory outlives that.
  ~RdmaQueue() override { link_.release(); }
  bool has_room() const override { return link_.connection().has_room(); }
  void submit(Command& command) override { link_.connection().submit(command); }
  void disable_flow_control() override {}  // a response says all there is to say, with or without it
  void close(const Error& reason) override { link_.connection().close(reason); }

 private:
  RdmaLink<V>& link_;
};

template <verbs::Verbs V>
class RdmaTransport final : public Transport, public Poller, private RdmaLinkOwner<V>, private verbs::DomainEvents {
 public:
  static constexpr size_t kBounceBytes = 1 << 20;  // for data that lies elsewhere: admin commands

  /// Outlives: all three outlive the transport. Registers itself with the reactor.
  RdmaTransport(Reactor& reactor, V& verbs, MemorySource& memory, const RdmaOptions& options)
      : reactor_(reactor), verbs_(verbs), source_(memory), options_(options), receives_free_(options.entries) {
    reactor_.add(*this);
  }
  /// Requires: is_closed(), or nothing was ever opened.
  ~RdmaTransport() override {
    WEFT_ASSERT(is_closed());
    reactor_.remove(*this);
  }

  Result<std::unique_ptr<Queue>> open(const Endpoint& endpoint, const QueueOptions& options, QueueEvents& events) override;
  std::span<std::byte> take_memory(size_t size_bytes) override;
  void give_back_memory(std::span<std::byte> memory) override {
    given_back_.push_back(memory);
    free_given_back();
  }

  /// No queue is left, and the target reaches none of this host's memory.
  bool is_idle() const { return links_.empty(); }
  /// Gives the device back when the last queue is gone; is_closed() some cycles later. Nothing is opened any more.
  void close() {
    is_closing_ = true;
    close_if_idle();
  }
  bool is_closed() const { return links_.empty() && (phase_ == Phase::kNone || phase_ == Phase::kClosed); }

  size_t poll() override;
  size_t flush() override;
  bool prepare_sleep() override;

 private:
  using Link = RdmaLink<V>;
  enum class Phase : uint8_t { kNone, kOpening, kOpen, kClosing, kClosed };
  static constexpr size_t kBatch = 64;
  static constexpr size_t kReceiveBytes = 64;  // more than a response has, so that a longer one can be told

  // RdmaLinkOwner
  void on_device(Link& link, const verbs::Device& device) override;
  void take_in_all() override {
    while (take_in() > 0) {}
  }
  void on_connecting(Link& link, uint32_t number) override { by_number_[number] = &link; }
  void on_retired(uint32_t number) override { by_number_.erase(number); }
  // verbs::DomainEvents
  void on_open(Result<void> result) override;
  void on_completions() override { is_armed_ = false; }
  void on_receives_low() override {}
  void on_removed() override { error_ = Error{Errc::kNotFound, "the RDMA device is gone"}; }
  void on_closed() override { phase_ = Phase::kClosed; }

  Result<void> map_memory();
  Result<void> check(const verbs::Device& device) const;
  void open_domain(const verbs::Device& device);
  /// A response and every work request of each command.
  uint32_t completion_entries() const { return options_.entries * (1 + options_.requests_max()); }
  /// Of the region with the data. Where windows lead there, nothing else does.
  int data_access() const { return IBV_ACCESS_LOCAL_WRITE | (options_.has_windows ? int{IBV_ACCESS_MW_BIND} : IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE); }
  size_t take_in();
  void take(const ibv_wc& completion);
  size_t sweep();
  void free_given_back();
  void close_if_idle() {
    if (!is_closing_ || phase_ != Phase::kOpen || !links_.empty()) return;
    phase_ = Phase::kClosing;
    domain_->close();
  }

  Reactor& reactor_;
  V& verbs_;
  MemorySource& source_;
  RdmaOptions options_;
  Phase phase_ = Phase::kNone;
  bool is_closing_ = false;
  bool is_armed_ = false;
  uint32_t receives_free_;  // not promised to a link
  std::optional<Error> error_;  // why nothing can be opened
  const verbs::Device* device_ = nullptr;
  std::optional<verbs::Receives> receives_;
  std::optional<DataArea> capsules_;
  std::optional<DataArea> data_;
  std::optional<RdmaMemory> memory_;
  std::unique_ptr<typename V::Domain> domain_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<Link*> waiting_;  // for the domain
  std::unordered_map<uint32_t, Link*> by_number_;
  size_t taken_bytes_ = 0;  // by take_memory()
  std::vector<std::span<std::byte>> given_back_;  // not free before the target has lost its way to them
};

template <verbs::Verbs V>
Result<std::unique_ptr<Queue>> RdmaTransport<V>::open(const Endpoint& endpoint, const QueueOptions& options, QueueEvents& events) {
  if (options.digests != Digests{}) return fail(Errc::kUnsupported, "NVMe/RDMA has no digests");
  if (error_) return std::unexpected(*error_);
  if (options.entries > receives_free_) return fail(Errc::kLimit, "more queues than this host has registered memory for");
  if (auto mapped = map_memory(); !mapped) return std::unexpected(mapped.error());
  receives_free_ -= options.entries;
  links_.push_back(std::make_unique<Link>(reactor_, verbs_, static_cast<RdmaLinkOwner<V>&>(*this), options, events, options_));
  Link& link = *links_.back();
  link.start({.to = {.host = endpoint.host, .port = endpoint.port, .is_ipv6 = endpoint.host.find(':') != std::string::npos}, .from = endpoint.from});
  return std::make_unique<RdmaQueue<V>>(link);
}

/// Not out of what commands need whose data lies elsewhere.
template <verbs::Verbs V>
std::span<std::byte> RdmaTransport<V>::take_memory(size_t size_bytes) {
  if (!data_ || size_bytes > options_.data_bytes || taken_bytes_ + DataArea::rounded(size_bytes) > options_.data_bytes) return {};
  const auto memory = data_->try_take(size_bytes);
  if (!memory.empty()) taken_bytes_ += DataArea::rounded(size_bytes);
  return memory;
}

template <verbs::Verbs V>
Result<void> RdmaTransport<V>::map_memory() {
  if (data_) return {};
  auto receives = source_.map(options_.entries * kReceiveBytes, "RDMA responses");
  if (!receives) return std::unexpected(receives.error());
  auto capsules = source_.map(options_.entries * RdmaConnection::kCapsuleBytes, "RDMA capsules");
  if (!capsules) return std::unexpected(capsules.error());
  auto data = source_.map(options_.data_bytes + kBounceBytes, "RDMA data");
  if (!data) return std::unexpected(data.error());
  receives_.emplace(std::move(*receives), options_.entries, kReceiveBytes);
  capsules_.emplace(std::move(*capsules));
  data_.emplace(std::move(*data));
  return {};
}

template <verbs::Verbs V>
Result<void> RdmaTransport<V>::check(const verbs::Device& device) const {
  if (options_.has_windows && !device.has_windows) return fail(Errc::kUnsupported, fmt::format("{} has no memory windows of type 2, which remote invalidation needs", device.name));
  const auto enough = [&](const char* what, uint32_t has, uint32_t needed) -> Result<void> {
    if (needed <= has) return {};
    return fail(Errc::kLimit, fmt::format("{} has {} {}, and {} are needed: use fewer connections or a smaller queue depth", device.name, has, what, needed));
  };
  if (auto checked = enough("shared receives", device.receive_entries_max, options_.entries); !checked) return checked;
  return enough("completion entries", device.completion_entries_max, completion_entries());
}

template <verbs::Verbs V>
void RdmaTransport<V>::on_device(Link& link, const verbs::Device& device) {
  if (error_) return link.fail(*error_);
  if (device_ != nullptr && device_ != &device) return link.fail(Error{Errc::kUnsupported, "two of this host's devices lead there"});
  if (phase_ == Phase::kOpen) return link.domain_open(*domain_, *memory_);
  waiting_.push_back(&link);
  if (phase_ == Phase::kNone) open_domain(device);
}

template <verbs::Verbs V>
void RdmaTransport<V>::open_domain(const verbs::Device& device) {
  device_ = &device;
  if (auto checked = check(device); !checked) return on_open(checked);
  phase_ = Phase::kOpening;
  const verbs::DomainOptions options{
      .completion_entries = completion_entries(),
      .receive_entries = options_.entries,
      .regions = {{receives_->memory(), IBV_ACCESS_LOCAL_WRITE}, {capsules_->memory(), IBV_ACCESS_LOCAL_WRITE}, {data_->memory(), data_access()}}};
  domain_ = verbs_.open(device, options, *this);
}

template <verbs::Verbs V>
void RdmaTransport<V>::on_open(Result<void> result) {
  if (result) {
    phase_ = Phase::kOpen;
    receives_->set_key(domain_->local_key(0));
    memory_.emplace(RdmaMemory{*capsules_, *data_, domain_->local_key(1), *domain_->memory_region(2)});
    // Receives are there before anybody connects.
    if (domain_->post_receive(receives_->take_list()).error_number != 0) error_ = Error{Errc::kIo, "the device takes no receives"};
  } else {
    phase_ = Phase::kClosed;
    error_ = result.error();
  }
  for (Link* link : std::exchange(waiting_, {})) error_ ? link->fail(*error_) : link->domain_open(*domain_, *memory_);
}

// --- work ---------------------------------------------------------------------------------------------------------------------------------------

template <verbs::Verbs V>
size_t RdmaTransport<V>::poll() {
  return phase_ == Phase::kOpen ? take_in() : 0;
}

template <verbs::Verbs V>
size_t RdmaTransport<V>::take_in() {
  std::array<ibv_wc, kBatch> completions;
  const int count = domain_->poll(completions);
  for (int i = 0; i < count; ++i) take(completions[size_t(i)]);
  return size_t(std::max(count, 0));  // negative: on_removed() comes
}

template <verbs::Verbs V>
void RdmaTransport<V>::take(const ibv_wc& completion) {
  const auto found = by_number_.find(completion.qp_num);
  RdmaConnection* connection = found == by_number_.end() ? nullptr : &found->second->connection();
  if ((completion.wr_id & verbs::kReceiveBit) == 0) {
    if (connection != nullptr) connection->done(completion);
    return;
  }
  verbs::ReceiveSlot& slot = receives_->slot(completion.wr_id);
  if (connection != nullptr && completion.status == IBV_WC_SUCCESS) {
    connection->received(slot.bytes.first(std::min<size_t>(completion.byte_len, slot.bytes.size())), completion);
  } else if (connection != nullptr && completion.status != IBV_WC_WR_FLUSH_ERR) {
    connection->close(Error{Errc::kInvalid, fmt::format("a response could not be received (work completion status {})", int(completion.status))});
  }
  receives_->give_back(slot);
}

template <verbs::Verbs V>
size_t RdmaTransport<V>::flush() {
  if (phase_ == Phase::kOpen) {
    ibv_recv_wr* list = receives_->take_list();
    if (list != nullptr && domain_->post_receive(list).error_number != 0) error_ = Error{Errc::kIo, "the device takes no receives"};
  }
  for (size_t i = 0; i < links_.size(); ++i) {
    if (error_) links_[i]->connection().close(*error_);
    links_[i]->flush();
  }
  const size_t swept = sweep();
  free_given_back();
  close_if_idle();
  return swept;
}

/// Destroys the links that are over.
template <verbs::Verbs V>
size_t RdmaTransport<V>::sweep() {
  return std::erase_if(links_, [this](const auto& link) {
    if (!link->is_over()) return false;
    receives_free_ += link->connection().options().entries;
    return true;
  });
}

template <verbs::Verbs V>
void RdmaTransport<V>::free_given_back() {
  if (std::ranges::any_of(links_, [](const auto& link) { return link->is_lingering(); })) return;
  for (const std::span<std::byte> memory : std::exchange(given_back_, {})) {
    taken_bytes_ -= DataArea::rounded(memory.size());
    data_->give_back(memory);
  }
}

template <verbs::Verbs V>
bool RdmaTransport<V>::prepare_sleep() {
  if (is_armed_ || phase_ != Phase::kOpen) return true;
  domain_->arm();
  is_armed_ = true;
  return take_in() == 0;  // what has come before it was armed wakes nobody
}

}  // namespace weft::host
