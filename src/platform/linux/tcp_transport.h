// The TCP transport over this machine's sockets: tcp::Acceptor, compiled once.
#pragma once
#include "net/sockets.h"
#include "nvmf/shard.h"
#include "platform/linux/epoll_net.h"
#include "transport/transport.h"

namespace weft::platform {

/// What the transport uses of one reactor.
struct TcpRoom {
  EpollNet& network;
  net::Sockets& sockets;
  nvmf::Shard& shard;
};

/// The first room is the home reactor's. Before the reactors run; what the rooms name outlives it.
std::unique_ptr<transport::Transport> make_tcp_transport(const Limits& limits, std::span<const TcpRoom> rooms);

}  // namespace weft::platform
