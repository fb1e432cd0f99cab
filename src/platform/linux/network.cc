#include "platform/linux/network.h"

namespace weft::platform {

Result<Network> make_network(NetworkChoice choice, EventLoop& loop, Reactor& reactor) {
  switch (choice) {
    case NetworkChoice::kEpoll: return std::make_unique<EpollNet>(loop, reactor);
    case NetworkChoice::kUring: break;
  }
  auto net = UringNet::create(loop, reactor);
  if (net) return std::move(*net);
  return fail(net.error().code, std::string{"network io_uring: "}.append(net.error().what()).append("; the network epoll needs none"));
}

}  // namespace weft::platform
