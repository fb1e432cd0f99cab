// The TCP transport of the target: listens on the home reactor, spreads connections over all reactors, keeps the caps. A template over the
// network, so that production and simulation run the same code; platform/linux/tcp_transport.cc makes those for sockets.
#pragma once
#include <memory>
#include <vector>

#include "base/log.h"
#include "transport/admission.h"
#include "transport/listeners.h"
#include "transport/tcp/connection_set.h"
#include "transport/transport.h"

namespace weft::tcp {

template <net::Net N>
class Acceptor final : public transport::Transport {
 public:
  /// What the transport uses of one reactor. The first one is the home reactor's. All outlive the acceptor.
  struct Room {
    N& net;
    net::Sockets& sockets;
    nvmf::Shard& shard;
  };
  /// Before the reactors run.
  Acceptor(const Limits& limits, std::span<const Room> rooms) : home_net_(rooms.front().net), admission_(limits, rooms.size()) {
    for (const Room& room : rooms) sets_.push_back(std::make_unique<ConnectionSet<N>>(room.net, room.sockets, room.shard));
  }
  /// Requires: stop() has called back, or nothing was ever accepted; no reactor runs.
  ~Acceptor() override { WEFT_ASSERT(admission_.count() == 0); }

  Result<net::Address> listen(const net::Address& address) override { return listeners_.listen(home_net_, *this, address); }
  Result<void> unlisten(const net::Address& address) override { return listeners_.unlisten(address); }

  void stop(std::move_only_function<void()> done) override {
    listeners_.clear();
    on_empty_ = std::move(done);
    tell_if_empty();
  }

  transport::Totals totals() const override {
    transport::Totals totals{.refused = refused_.value()};
    for (const auto& set : sets_) {
      const Counters& counters = set->counters();
      totals.accepted += counters.accepted.value();
      totals.connections += counters.accepted.value() - counters.finished.value();
      totals.violations += counters.violations.value();
      totals.peer_terminations += counters.peer_terminations.value();
      totals.digest_errors += counters.digest_errors.value();
      totals.timeouts += counters.timeouts.value();
    }
    return totals;
  }

 private:
  struct Listening final : net::ListenerEvents<typename N::Handle> {
    Listening(Acceptor& a, bool loopback) : acceptor(a), is_loopback(loopback) {}
    void on_accepted(typename N::Handle handle, const net::Address& peer) override {
      acceptor.accept(std::move(handle), peer, is_loopback);
    }
    Acceptor& acceptor;
    bool is_loopback;
    std::unique_ptr<typename N::Listener> listener;
  };

  Reactor& home() { return sets_.front()->reactor(); }
  void accept(typename N::Handle handle, const net::Address& peer, bool is_loopback_listener);
  void gone(const std::string& peer, size_t reactor) {
    admission_.leave(peer, reactor);
    tell_if_empty();
  }
  void tell_if_empty() {
    if (on_empty_ && admission_.count() == 0) std::exchange(on_empty_, nullptr)();
  }

  N& home_net_;
  transport::Admission admission_;
  std::vector<std::unique_ptr<ConnectionSet<N>>> sets_;
  transport::Listeners<Listening> listeners_;
  std::move_only_function<void()> on_empty_;
  Counter refused_;
  RateLimit refusal_log_;
};

template <net::Net N>
void Acceptor<N>::accept(typename N::Handle handle, const net::Address& peer, bool is_loopback_listener) {
  const auto reactor = admission_.admit(peer.host);
  if (!reactor) {  // closes the handle
    refused_.add(1);
    if (refusal_log_.allow(home().now())) {
      home().log().warn("tcp: {}: refused, too many connections ({} more not shown)", peer.host, refusal_log_.suppressed());
    }
    return;
  }
  auto on_gone = [this, host = peer.host, reactor = *reactor] {
    home().post([this, host, reactor] { gone(host, reactor); });
  };
  ConnectionSet<N>& set = *sets_[*reactor];
  set.reactor().post([&set, is_loopback_listener, moved = std::move(handle), on_gone = std::move(on_gone)]() mutable {
    set.adopt(std::move(moved), is_loopback_listener, std::move(on_gone));
  });
}

}  // namespace weft::tcp
