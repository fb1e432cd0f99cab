#include "sim/net.h"

#include <fmt/format.h>

namespace weft::sim {

Listener::~Listener() { network_.remove_service(address_); }

Net::~Net() {
  for (auto& [connection, events] : arrivals_) connection->close(Side::kTarget);
}

Result<Stream> Net::connect(const net::Address& address) {
  return Stream{*this, network_.connect(machine_, address), Side::kHost};
}

Result<std::unique_ptr<Listener>> Net::listen(const net::Address& address, net::ListenerEvents<Handle>& events) {
  net::Address bound = Network::address_of(machine_, address.port);
  for (bound.port = address.port == 0 ? kFirstFreePort : address.port; !network_.add_service(bound, {this, &events});
       ++bound.port) {
    if (address.port != 0) return fail(Errc::kExists, fmt::format("{}:{}: in use", bound.host, bound.port));
  }
  return std::make_unique<Listener>(network_, bound);
}

size_t Net::poll() {
  size_t count = 0;
  // What becomes due in the meantime has its turn in the next cycle.
  for (size_t arrivals = arrivals_.size(); arrivals > 0; --arrivals, ++count) {
    auto [connection, events] = std::move(arrivals_.front());
    arrivals_.pop_front();
    const net::Address peer = connection->address(Side::kHost);
    // The listener may have gone since the request came.
    if (network_.has_service(connection->address(Side::kTarget), events)) {
      events->on_accepted(Handle{std::move(connection)}, peer);
    } else {
      connection->close(Side::kTarget);
    }
  }
  for (size_t due = due_.size(); due > 0; --due) {
    auto [connection, side] = std::move(due_.front());
    due_.pop_front();
    if (connection->deliver(side)) ++count;
  }
  return count;
}

void Net::make_due(std::shared_ptr<Connection> connection, Side side) {
  due_.emplace_back(std::move(connection), side);
  clock_.wake();
}

void Net::accept(std::shared_ptr<Connection> connection, net::ListenerEvents<Handle>& events) {
  arrivals_.emplace_back(std::move(connection), &events);
  clock_.wake();
}

}  // namespace weft::sim
