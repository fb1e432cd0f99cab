// RDMA in this process: the control thread, each reactor's verbs, and the transport over them. Made before the reactors run, when a listener asks for
// it; destroyed after they have stopped.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "platform/linux/rdma_transport.h"

namespace weft::app {

class RdmaService {
 public:
  struct Room {
    platform::EventLoop& loop;
    Reactor& reactor;
    MemorySource& memory;
    nvmf::Shard& shard;
  };
  /// Outlives: what the rooms and `limits` refer to outlives the service. Errors: what is missing for RDMA, and what to do about it.
  static Result<std::unique_ptr<RdmaService>> create(const Limits& limits, std::span<const Room> rooms);
  platform::RdmaTransport& transport() { return *transport_; }
  /// Ends the control thread, after what it was given. What it has posted may then be delivered; nothing more comes. Idempotent.
  void join() { control_->join(); }

 private:
  RdmaService(const Limits& limits, std::span<const Room> rooms, std::unique_ptr<platform::RdmaControl> control);

  std::unique_ptr<platform::RdmaControl> control_;
  std::vector<std::unique_ptr<platform::IbVerbs>> verbs_;
  std::unique_ptr<platform::RdmaTransport> transport_;
};

}  // namespace weft::app
