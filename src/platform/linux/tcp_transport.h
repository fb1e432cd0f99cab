// The TCP transport over the chosen network: tcp::Acceptor, compiled once for each.
#pragma once
#include "net/sockets.h"
#include "nvmf/shard.h"
#include "platform/linux/network.h"
#include "transport/transport.h"

namespace weft::platform {

/// What the transport uses of one reactor.
struct TcpRoom {
  Network& network;
  net::Sockets& sockets;
  nvmf::Shard& shard;
};

/// The first room is the home reactor's. Before the reactors run; what the rooms name outlives it. Requires: networks of one kind.
std::unique_ptr<transport::Transport> make_tcp_transport(const Limits& limits, std::span<const TcpRoom> rooms);

}  // namespace weft::platform
