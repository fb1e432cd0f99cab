// One reactor's network over what the configuration chose. The same kind on every reactor, since a connection is accepted on one and
// served on another.
#pragma once
#include <memory>
#include <variant>

#include "platform/linux/epoll_net.h"
#include "platform/linux/uring_net.h"

namespace weft::platform {

enum class NetworkChoice : uint8_t { kEpoll, kUring };

using Network = std::variant<std::unique_ptr<EpollNet>, std::unique_ptr<UringNet>>;

/// May register a poller with `reactor`, which must come before those that its events make ready. Errors: as UringNet::create(), with
/// what to do instead.
Result<Network> make_network(NetworkChoice choice, EventLoop& loop, Reactor& reactor);

}  // namespace weft::platform
