// The target of test_support.h behind an acceptor on the in-memory network: for tests in which the real pump runs. Not
// part of any library.
#pragma once
#include "net/memory_net.h"
#include "transport/tcp/acceptor.h"
#include "transport/tcp/test_support.h"

#include <memory>

namespace weft::tcp::testing {

class TestServer {
 public:
  explicit TestServer(const Limits& limits) : target(limits) {
    target.reactor.add(net_);
    target.reactor.add(sockets_);
    const Acceptor<net::MemoryNet>::Room room{net_, sockets_, *target.target->shards().front()};
    acceptor = std::make_unique<Acceptor<net::MemoryNet>>(target.target->limits(), std::span(&room, 1));
    address_ = *acceptor->listen({"127.0.0.1", 0, false});
    target.target->set_listeners({{.host = address_.host, .port = address_.port, .is_loopback = true}});
  }
  /// Requires: every stream of connect() is closed.
  ~TestServer() {
    target.run();
    bool is_empty = false;
    acceptor->stop([&] { is_empty = true; });
    // A device may still have writes of a connection that is gone.
    for (int i = 0; i < 100 && !is_empty; ++i) target.advance(milliseconds(100));
    WEFT_ASSERT(is_empty);
    acceptor.reset();
    target.reactor.remove(sockets_);
    target.reactor.remove(net_);
  }

  net::MemoryStream connect() { return std::move(*net_.connect(address_)); }
  const net::Address& address() const { return address_; }

  TestTarget target;
  std::unique_ptr<Acceptor<net::MemoryNet>> acceptor;

 private:
  net::MemoryNet net_{{}};
  net::Sockets sockets_{target.reactor,
                        {.receive_bytes = 65536,
                         .send_iovecs = 64,
                         .partial_bytes = Connection::kPartialMax,
                         .stalled_send = seconds(30)}};
  net::Address address_;
};

}  // namespace weft::tcp::testing
