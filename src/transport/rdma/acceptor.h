// The RDMA transport of the target: judges connection requests on the home reactor, spreads connections over all reactors, keeps the caps. A
// template over the verbs, so that production, tests and simulation run the same code; platform/linux/rdma_transport.cc makes the real one.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "transport/admission.h"
#include "transport/listeners.h"
#include "transport/rdma/station_set.h"
#include "transport/transport.h"

namespace weft::rdma {

template <verbs::Verbs V>
class Acceptor final : public transport::Transport {
 public:
  /// What the transport uses of one reactor. The first one is the home reactor's. All outlive the acceptor.
  struct Room {
    V& verbs;
    MemorySource& memory;
    nvmf::Shard& shard;
  };
  /// Before the reactors run.
  Acceptor(const Limits& limits, std::span<const Room> rooms)
      : limits_(limits), home_verbs_(rooms.front().verbs), admission_(limits, rooms.size()) {
    for (const Room& room : rooms) sets_.push_back(std::make_unique<StationSet<V>>(room.verbs, room.memory, room.shard));
  }
  /// Requires: stop() has called back, or nothing was ever accepted; no reactor runs.
  ~Acceptor() override { WEFT_ASSERT(admission_.count() == 0); }

  Result<net::Address> listen(const net::Address& address) override { return listeners_.listen(home_verbs_, *this, address); }
  Result<void> unlisten(const net::Address& address) override { return listeners_.unlisten(address); }

  void stop(std::move_only_function<void()> done) override {
    listeners_.clear();
    on_empty_ = std::move(done);
    close_if_empty();
  }

  transport::Totals totals() const override {
    transport::Totals totals{.refused = refused_.value()};
    for (const auto& set : sets_) {
      const Counters& counters = set->counters();
      totals.accepted += counters.accepted.value();
      totals.connections += counters.accepted.value() - counters.finished.value();
      totals.violations += counters.violations.value() + counters.failures.value();
      totals.timeouts += counters.timeouts.value();
    }
    return totals;
  }

 private:
  using Handle = typename V::Handle;
  struct Listening final : verbs::ListenerEvents<Handle> {
    Listening(Acceptor& a, bool loopback) : acceptor(a), is_loopback(loopback) {}
    void on_request(Handle handle, const verbs::RequestInfo& info) override { acceptor.take(std::move(handle), info, is_loopback); }
    Acceptor& acceptor;
    bool is_loopback;
    std::unique_ptr<typename V::Listener> listener;
  };

  Reactor& home() { return sets_.front()->reactor(); }
  void take(Handle handle, const verbs::RequestInfo& info, bool is_loopback_listener);
  void refuse(Handle handle, const verbs::RequestInfo& info, RejectStatus why);
  void gone(const std::string& peer, size_t reactor) {
    admission_.leave(peer, reactor);
    close_if_empty();
  }
  void close_if_empty();

  const Limits& limits_;
  V& home_verbs_;
  transport::Admission admission_;
  std::vector<std::unique_ptr<StationSet<V>>> sets_;
  transport::Listeners<Listening> listeners_;
  std::move_only_function<void()> on_empty_;
  size_t closing_ = 0;  // sets that have not given their devices back
  Counter refused_;
  RateLimit refusal_log_;
};

template <verbs::Verbs V>
void Acceptor<V>::take(Handle handle, const verbs::RequestInfo& info, bool is_loopback_listener) {
  const auto acceptance = judge(info, limits_);
  if (!acceptance) return refuse(std::move(handle), info, acceptance.error());
  const auto reactor = admission_.admit(info.peer.host);
  if (!reactor) return refuse(std::move(handle), info, RejectStatus::kNoResources);
  nvmf::Origin origin{.type = nvmf::TransportType::kRdma,
                      .local_host = info.local.host,
                      .local_port = info.local.port,
                      .is_ipv6 = info.local.is_ipv6,
                      .peer_host = info.peer.host,
                      .peer_port = info.peer.port,
                      .is_loopback_listener = is_loopback_listener};
  auto on_gone = [this, host = info.peer.host, reactor = *reactor] {
    home().post([this, host, reactor] { gone(host, reactor); });
  };
  ConnectionOffer<V> offer{std::move(handle), *acceptance, std::move(origin), std::move(on_gone)};
  StationSet<V>& set = *sets_[*reactor];
  set.reactor().post([&set, &device = info.device, offer = std::move(offer)]() mutable { set.take(device, std::move(offer)); });
}

template <verbs::Verbs V>
void Acceptor<V>::refuse(Handle handle, const verbs::RequestInfo& info, RejectStatus why) {
  refused_.add(1);
  if (refusal_log_.allow(home().now())) {
    home().log().warn("rdma: {}: refused: {} ({} more not shown)", info.peer.host, name_of(why), refusal_log_.suppressed());
  }
  home_verbs_.reject(std::move(handle), bytes_of(encode(why)));
}

/// stop() was called and the last connection is gone: the devices go too.
template <verbs::Verbs V>
void Acceptor<V>::close_if_empty() {
  if (!on_empty_ || admission_.count() > 0 || closing_ > 0) return;
  closing_ = sets_.size();
  for (auto& set : sets_) {
    set->reactor().post([this, &set = *set] {
      set.close([this] {
        home().post([this] {
          if (--closing_ == 0) std::exchange(on_empty_, nullptr)();
        });
      });
    });
  }
}

}  // namespace weft::rdma
