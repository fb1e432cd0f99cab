// The TCP transport over epoll: tcp::Acceptor, compiled once.
#pragma once
#include "platform/linux/epoll_net.h"
#include "transport/tcp/acceptor.h"

namespace weft::platform {

using TcpTransport = tcp::Acceptor<EpollNet>;

}  // namespace weft::platform

extern template class weft::tcp::Acceptor<weft::platform::EpollNet>;
