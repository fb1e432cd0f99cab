// Puts a monitor on every connection of the simulated network and of the RDMA fabric and hands what they read to the checkers. Owned by
// the world; outlives the network.
#pragma once
#include "sim/checkers/wire_events.h"
#include "sim/rdma_fabric.h"
#include "sim/referee.h"

#include <set>
#include <vector>

namespace weft::sim {

class WireWatch final : public WireTaps, public RdmaTaps, private WireEvents {
 public:
  /// Outlives: the referee outlives the watch.
  explicit WireWatch(Referee& referee) : referee_(referee) {}
  /// What the monitors of RDMA connections read the time from. Before the first of them. Outlives: `agenda` outlives the fabric.
  void set_agenda(const Agenda& agenda) { agenda_ = &agenda; }
  /// Before the first connection. Checkers are called in this order. Outlives: `checker` outlives the network.
  void add(WireEvents& checker) { checkers_.push_back(&checker); }
  /// What `host_machine` says need not make sense: a rule that it breaks is no finding, but the end of judging there.
  void distrust(size_t host_machine) { distrusted_.insert(host_machine); }

  std::unique_ptr<WireTap> connected(size_t host_machine, size_t target_machine, const net::Address& address,
                                     Instant now) override;

  std::shared_ptr<verbs::MemoryTap> accepted(size_t host_machine, size_t target_machine,
                                             const verbs::MemoryConnection& connection) override;

 private:
  WireQueue new_queue(size_t host_machine, size_t target_machine, const net::Address& address);
  void on_initialized(const WireQueue& queue, uint32_t maxh2cdata, Instant now) override;
  void on_command_sent(const WireQueue& queue, const WireCommand& command, Instant now) override;
  void on_command_taken(const WireQueue& queue, const WireCommand& command, Instant now) override;
  void on_r2t(const WireQueue& queue, const nvme::Sqe& sqe, uint32_t length, Instant now) override;
  void on_completion(const WireQueue& queue, const WireCompletion& completion, Instant now) override;
  void on_connected(const WireQueue& queue, Instant now) override;
  void on_backlog(const WireQueue& queue, bool is_there) override;
  void on_closed(const WireQueue& queue, Side by, Instant now) override;

  Referee& referee_;
  const Agenda* agenda_ = nullptr;
  std::vector<WireEvents*> checkers_;
  std::set<size_t> distrusted_;
  uint64_t connections_ = 0;
};

}  // namespace weft::sim
