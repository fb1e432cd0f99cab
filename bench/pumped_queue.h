// The host's end of one connection of a target in the same thread, over net/memory_net.h: for counting what the target does without a kernel.
// Encodes with the helpers of the transport's tests; everything of it happens between the target's turns, so a profiler can leave it out.
#pragma once
#include <memory>
#include <span>

#include "net/memory_net.h"
#include "net/sockets.h"
#include "transport/tcp/connection_set.h"
#include "transport/tcp/test_support.h"

namespace weft::bench {

using tcp::testing::Bytes;

/// A target with one RAM namespace, its connections pumped as in production but for the network.
struct PumpedTarget {
  PumpedTarget();
  ~PumpedTarget() { target.reactor.remove(net); target.reactor.remove(sockets); }

  tcp::testing::TestTarget target;
  net::MemoryNet net{{}};
  net::Sockets sockets;
  tcp::ConnectionSet<net::MemoryNet> connections;
};

class PumpedQueue {
 public:
  /// Connects and initialises the connection, with the digests that `options` ask for. Outlives: `target` outlives the queue.
  PumpedQueue(PumpedTarget& target, const tcp::testing::PeerOptions& options);
  /// Closes the connection and waits for its end.
  ~PumpedQueue();

  /// Sends the capsules, answers every R2T, and turns the target until `commands` of them are done. Ends the program when one fails.
  void run(std::span<const std::byte> capsules, size_t commands);
  /// The last completion, all zero when C2HData stood for it.
  const nvme::Cqe& last_completion() const { return completion_; }

 private:
  void send(std::span<const std::byte> bytes);
  void take_pdus();
  void take(std::span<const std::byte> pdu);
  void answer(const tcp::R2t& request);

  PumpedTarget& target_;
  tcp::testing::PeerOptions options_;
  std::shared_ptr<net::MemoryPipe> to_target_;
  std::shared_ptr<net::MemoryPipe> from_target_;
  bool is_gone_ = false;
  size_t done_ = 0;  // commands, and the initialisation
  nvme::Cqe completion_{};
  Bytes payload_;    // of every H2CData
  Bytes received_;
};

}  // namespace weft::bench
