#include "platform/linux/tcp_transport.h"

#include "transport/tcp/acceptor.h"

namespace weft::platform {

std::unique_ptr<transport::Transport> make_tcp_transport(const Limits& limits, std::span<const TcpRoom> rooms) {
  std::vector<tcp::Acceptor<EpollNet>::Room> acceptor_rooms;
  for (const TcpRoom& room : rooms) acceptor_rooms.push_back({room.network, room.sockets, room.shard});
  return std::make_unique<tcp::Acceptor<EpollNet>>(limits, acceptor_rooms);
}

}  // namespace weft::platform
