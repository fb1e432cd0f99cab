#include "app/rdma_service.h"

namespace weft::app {

Result<std::unique_ptr<RdmaService>> RdmaService::create(const Limits& limits, std::span<const Room> rooms) {
  auto control = platform::RdmaControl::start();
  if (!control) return std::unexpected(control.error());
  return std::unique_ptr<RdmaService>(new RdmaService(limits, rooms, std::move(*control)));
}

RdmaService::RdmaService(const Limits& limits, std::span<const Room> rooms, std::unique_ptr<platform::RdmaControl> control) : control_(std::move(control)) {
  std::vector<platform::RdmaTransport::Room> transport_rooms;
  for (const Room& room : rooms) {
    verbs_.push_back(std::make_unique<platform::IbVerbs>(room.loop, room.reactor, *control_));
    transport_rooms.push_back({*verbs_.back(), room.memory, room.shard});
  }
  transport_ = std::make_unique<platform::RdmaTransport>(limits, transport_rooms);
}

}  // namespace weft::app
