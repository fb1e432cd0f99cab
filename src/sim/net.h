// A simulated reactor's side of the network: satisfies net::Net (net/stream.h), so the production pumps, the acceptor
// and the initiator run on it.
#pragma once
#include "core/reactor.h"
#include "net/stream.h"
#include "sim/connection.h"
#include "sim/network.h"

#include <deque>
#include <memory>
#include <utility>

namespace weft::sim {

/// A connected stream that belongs to no reactor yet.
struct Handle {
  explicit Handle(std::shared_ptr<Connection> of) : connection(std::move(of)) {}
  Handle(Handle&&) noexcept = default;
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (connection != nullptr) connection->close(Side::kTarget);
  }
  std::shared_ptr<Connection> connection;
};

class Stream {
 public:
  Stream(Net& net, std::shared_ptr<Connection> connection, Side side)
      : net_(&net), connection_(std::move(connection)), side_(side) {}
  Stream(Stream&&) noexcept = default;
  Stream& operator=(Stream&&) = delete;
  ~Stream() { close(); }

  net::Transfer receive(std::span<const iovec> iovecs) { return connection_->receive(side_, iovecs); }
  net::Transfer send(std::span<const iovec> iovecs) { return connection_->send(side_, iovecs); }
  Result<void> watch(net::StreamEvents& events) {
    connection_->watch(side_, *net_, events);
    return {};
  }
  void shutdown_send() { connection_->shutdown_send(side_); }
  void close() {
    if (connection_ != nullptr) connection_->close(side_);
  }
  net::Address local_address() const { return connection_->address(side_); }
  net::Address peer_address() const { return connection_->address(other(side_)); }

 private:
  Net* net_;
  std::shared_ptr<Connection> connection_;
  Side side_;
};

class Listener {
 public:
  Listener(Network& network, net::Address address) : network_(network), address_(std::move(address)) {}
  ~Listener();
  const net::Address& address() const { return address_; }

 private:
  Network& network_;
  net::Address address_;
};

class Net final : public Poller {
 public:
  using Stream = sim::Stream;
  using Handle = sim::Handle;
  using Listener = sim::Listener;

  /// The side of `machine`'s process on `clock`'s reactor. Outlives: both outlive it.
  Net(Network& network, size_t machine, Clock& clock) : network_(network), clock_(clock), machine_(machine) {}
  ~Net() override;

  Stream adopt(Handle handle) { return {*this, std::exchange(handle.connection, nullptr), Side::kTarget}; }
  /// Errors: none; where nobody listens, the stream says so, as a socket does.
  Result<Stream> connect(const net::Address& address);
  /// Errors: kExists. Port 0 takes a free one; the host part is the machine's own, whatever is asked for.
  Result<std::unique_ptr<Listener>> listen(const net::Address& address, net::ListenerEvents<Handle>& events);

  size_t poll() override;

 private:
  friend class Connection;
  static constexpr uint16_t kFirstFreePort = 32768;
  void make_due(std::shared_ptr<Connection> connection, Side side);
  void accept(std::shared_ptr<Connection> connection, net::ListenerEvents<Handle>& events);

  Network& network_;
  Clock& clock_;
  size_t machine_;
  std::deque<std::pair<std::shared_ptr<Connection>, Side>> due_;
  std::deque<std::pair<std::shared_ptr<Connection>, net::ListenerEvents<Handle>*>> arrivals_;  // not yet told of
};

static_assert(net::Net<Net>);

}  // namespace weft::sim
