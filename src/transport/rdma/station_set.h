// The stations of one reactor, one for each device that hosts have come over. Registered with the reactor as a poller; made before the reactor runs
// and destroyed after it has stopped.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "transport/rdma/station.h"

namespace weft::rdma {

template <verbs::Verbs V>
class StationSet final : public Poller {
 public:
  /// Outlives: all three outlive the set.
  StationSet(V& verbs, MemorySource& memory, nvmf::Shard& shard) : verbs_(verbs), memory_(memory), shared_(shard) { shard.reactor().add(*this); }
  /// Requires: close() has called back, or nothing was ever taken.
  ~StationSet() override {
    WEFT_ASSERT(stations_.empty());
    reactor().remove(*this);
  }

  Reactor& reactor() { return shared_.shard.reactor(); }
  /// Any thread.
  const Counters& counters() const { return shared_.counters; }

  void take(const verbs::Device& device, ConnectionOffer<V> offer) { station_of(device).take(std::move(offer)); }
  /// Gives the devices back; `done` when that is so. Requires: no connection is left, and none comes.
  void close(std::move_only_function<void()> done) {
    on_closed_ = std::move(done);
    for (auto& station : stations_) station->leave();
    tell_if_closed();
  }

  size_t poll() override {
    size_t count = 0;
    for (auto& station : stations_) count += station->poll();
    const size_t closed = std::erase_if(stations_, [](const auto& station) { return station->is_closed(); });
    if (closed > 0) tell_if_closed();
    return count + closed;
  }
  size_t flush() override {
    for (auto& station : stations_) station->flush();
    return 0;
  }
  bool prepare_sleep() override {
    bool is_quiet = true;
    for (auto& station : stations_) is_quiet = station->prepare_sleep() && is_quiet;
    return is_quiet;
  }

 private:
  Station<V>& station_of(const verbs::Device& device) {
    for (auto& station : stations_) {
      if (&station->device() == &device && !station->is_leaving()) return *station;
    }
    stations_.push_back(std::make_unique<Station<V>>(verbs_, shared_, memory_, device));
    return *stations_.back();
  }
  void tell_if_closed() {
    if (on_closed_ && stations_.empty()) std::exchange(on_closed_, nullptr)();
  }

  V& verbs_;
  MemorySource& memory_;
  Shared shared_;
  std::vector<std::unique_ptr<Station<V>>> stations_;
  std::move_only_function<void()> on_closed_;
};

}  // namespace weft::rdma
