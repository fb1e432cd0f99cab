// NVMe/TCP over any byte-stream network: the connection (tcp_connection.h) and its pump make one queue. Belongs to one reactor.
#pragma once
#include <memory>
#include <utility>

#include "host/tcp_connection.h"
#include "net/socket.h"

namespace weft::host {

template <net::Net N>
class TcpQueue final : public Queue {
 public:
  TcpQueue(net::Sockets& sockets, typename N::Stream stream, const QueueOptions& options, QueueEvents& events)
      : connection_(options, events), socket_(sockets, std::move(stream), connection_) {
    connection_.attach(socket_);
  }
  ~TcpQueue() override { socket_.close({net::Closing::Reason::kProtocol}); }

  Result<void> start() { return socket_.start(); }
  bool has_room() const override { return connection_.has_room(); }
  void submit(Command& command) override { connection_.submit(command); }
  void disable_flow_control() override { connection_.disable_flow_control(); }
  void close(const Error& reason) override { connection_.close(reason); }

 private:
  TcpConnection connection_;
  net::Socket<N, TcpConnection> socket_;
};

template <net::Net N>
class TcpTransport final : public Transport {
 public:
  /// Outlives: both outlive the transport. Requires: sockets' partial buffers hold TcpConnection::kPartialMax bytes.
  TcpTransport(N& net, net::Sockets& sockets) : net_(net), sockets_(sockets) {}

  Result<std::unique_ptr<Queue>> open(const Endpoint& endpoint, const QueueOptions& options, QueueEvents& events) override {
    if (!endpoint.from.empty()) return fail(Errc::kUnsupported, "over TCP the system chooses the address of this host");
    auto stream = net_.connect({.host = endpoint.host, .port = endpoint.port, .is_ipv6 = endpoint.host.find(':') != std::string::npos});
    if (!stream) return std::unexpected(stream.error());
    auto queue = std::make_unique<TcpQueue<N>>(sockets_, std::move(*stream), options, events);
    if (auto started = queue->start(); !started) return std::unexpected(started.error());
    return queue;
  }

 private:
  N& net_;
  net::Sockets& sockets_;
};

}  // namespace weft::host
