#include "platform/linux/tcp_transport.h"

#include "transport/tcp/acceptor.h"

namespace weft::platform {

std::unique_ptr<transport::Transport> make_tcp_transport(const Limits& limits, std::span<const TcpRoom> rooms) {
  const auto over = [&]<net::Net N>(const std::unique_ptr<N>&) -> std::unique_ptr<transport::Transport> {
    std::vector<typename tcp::Acceptor<N>::Room> of_kind;
    for (const TcpRoom& room : rooms) of_kind.push_back({*std::get<std::unique_ptr<N>>(room.network), room.sockets, room.shard});
    return std::make_unique<tcp::Acceptor<N>>(limits, of_kind);
  };
  return std::visit(over, rooms.front().network);
}

}  // namespace weft::platform
