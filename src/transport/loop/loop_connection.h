// The in-memory transport: a queue of the target driven by function calls, with data by reference, for tests, benchmarks and whoever embeds the
// target. The host's side and the target's are on the same reactor; a command's completion may come before submit() returns.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "nvmf/queue.h"
#include "nvmf/shard.h"

namespace weft::loop {

class Connection final : private nvmf::TransportOps {
 public:
  /// Outlives: the shard outlives the connection.
  explicit Connection(nvmf::Shard& shard, nvmf::Origin origin = {.local_host = "loop", .peer_host = "loop", .is_loopback_listener = true});
  /// Requires: is_detached(), or nothing was ever submitted.
  ~Connection();

  /// How the host's data reaches the target: with the command, or when the target asks for it.
  enum class Delivery : uint8_t { kInCapsule, kOnRequest };
  struct Request {
    nvme::Sqe sqe{};
    std::span<const std::byte> from_host;         // kept by the caller until on_done
    std::span<std::byte> to_host;                 // filled before on_done, if the status is success
    Delivery delivery = Delivery::kInCapsule;
    std::function<void(const nvme::Cqe&)> on_done;
  };
  /// Submits one command; false when the queue is full. The SQE's PSDT and SGL are filled in here.
  bool submit(Request request);
  /// Holds back the data of commands that ask for it, until deliver_all().
  void hold_requested_data(bool hold) { is_holding_ = hold; }
  void deliver_all();
  /// The host's side goes: like a lost connection.
  void disconnect();

  bool is_closed() const { return is_closed_; }      // by the target or by disconnect()
  bool is_detached() const { return is_detached_; }  // everything is home
  nvmf::CloseReason close_reason() const { return close_reason_; }
  nvmf::Queue& queue() { return queue_; }
  size_t outstanding() const { return requests_.size(); }

 private:
  struct Pending {
    Request request;
    nvmf::Command* command;
  };
  void start_receive(nvmf::Command& command) override;
  void respond(nvmf::Command& command) override;
  void resume() override;
  void stop_receiving() override { takes_commands_ = false; }
  void close(nvmf::CloseReason reason) override;
  void on_detached() override { is_detached_ = true; }
  void hand_over(Pending& pending);
  Pending& pending_of(const nvmf::Command& command);

  nvmf::Shard& shard_;
  nvmf::Queue queue_;
  std::vector<std::unique_ptr<Pending>> requests_;
  std::vector<nvmf::Command*> requested_;
  bool is_holding_ = false;
  bool takes_commands_ = true;
  bool is_stalled_ = false;
  bool is_closed_ = false;
  bool is_detached_ = false;
  nvmf::CloseReason close_reason_{};
};

}  // namespace weft::loop
