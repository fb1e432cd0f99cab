// The TCP connections of one reactor, each with its pump. Registered with the reactor as a poller; made before the reactor runs and destroyed
// after it has stopped.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "net/socket.h"
#include "transport/tcp/connection.h"

namespace weft::tcp {

template <net::Net N>
class ConnectionSet final : public Poller {
 public:
  /// Outlives: `net`, `sockets` and `shard` outlive the set.
  ConnectionSet(N& net, net::Sockets& sockets, nvmf::Shard& shard) : net_(net), sockets_(sockets), shared_(shard) {
    shard.reactor().add(*this);
  }
  /// Requires: every connection has finished.
  ~ConnectionSet() override {
    retired_.clear();
    WEFT_ASSERT(live_ == 0);
    shared_.shard.reactor().remove(*this);
  }

  /// Takes a new connection over. `on_gone` is called on this reactor when it has finished, or now when it cannot start.
  void adopt(typename N::Handle handle, bool is_loopback_listener, std::move_only_function<void()> on_gone);

  Reactor& reactor() { return shared_.shard.reactor(); }
  /// Any thread.
  const Counters& counters() const { return shared_.counters; }

  /// Destroys what has finished, outside of its own calls.
  size_t poll() override {
    const size_t count = retired_.size();
    retired_.clear();
    return count;
  }

 private:
  class Entry final : private ConnectionOwner {
   public:
    Entry(ConnectionSet& set, typename N::Stream stream, nvmf::Origin origin, std::move_only_function<void()> on_gone)
        : set_(set),
          on_gone_(std::move(on_gone)),
          connection_(set.shared_, *this, std::move(origin)),
          socket_(set.sockets_, std::move(stream), connection_) {
      connection_.attach(socket_);
    }
    Result<void> start() { return socket_.start(); }
    /// The stream could not be watched.
    void give_up() { connection_.on_closed({net::Closing::Reason::kError}); }

   private:
    void on_finished(Connection&) override { set_.retire(*this, std::move(on_gone_)); }

    ConnectionSet& set_;
    std::move_only_function<void()> on_gone_;
    Connection connection_;
    net::Socket<N, Connection> socket_;
  };

  void retire(Entry& entry, std::move_only_function<void()> on_gone) {
    retired_.emplace_back(&entry);
    --live_;
    shared_.counters.finished.add(1);
    on_gone();
  }

  N& net_;
  net::Sockets& sockets_;
  Shared shared_;
  size_t live_ = 0;  // entries that own themselves: from adopt() to retire()
  std::vector<std::unique_ptr<Entry>> retired_;
};

template <net::Net N>
void ConnectionSet<N>::adopt(typename N::Handle handle, bool is_loopback_listener, std::move_only_function<void()> on_gone) {
  if (shared_.shard.is_stopping()) return on_gone();
  auto stream = net_.adopt(std::move(handle));
  const net::Address local = stream.local_address();
  const net::Address peer = stream.peer_address();
  nvmf::Origin origin{.type = nvmf::TransportType::kTcp,
                      .local_host = local.host,
                      .local_port = local.port,
                      .is_ipv6 = local.is_ipv6,
                      .peer_host = peer.host,
                      .peer_port = peer.port,
                      .is_loopback_listener = is_loopback_listener};
  auto entry = std::make_unique<Entry>(*this, std::move(stream), std::move(origin), std::move(on_gone));
  ++live_;
  Entry& started = *entry.release();  // its own until on_finished()
  if (auto result = started.start(); !result) {
    reactor().log().warn("tcp: {} port {}: {}", peer.host, peer.port, result.error().what());
    started.give_up();
  }
}

}  // namespace weft::tcp
