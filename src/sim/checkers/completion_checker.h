// Each command is completed once, and the completion is laid out as it must be: the queue's, reserved fields zero, SQHD
// where the commands taken allow it. NVMe Base 2.0 §3.3.3.2, §6.3.
#pragma once
#include "sim/checkers/wire_events.h"
#include "sim/referee.h"

#include <fmt/format.h>
#include <map>
#include <utility>

namespace weft::sim {

class CompletionChecker final : public WireEvents {
 public:
  /// Outlives: the referee outlives the checker.
  explicit CompletionChecker(Referee& referee) : referee_(referee) {}

  /// Nothing happens any more: no command but Asynchronous Event Requests may be without a completion on a connection
  /// that is open at both ends.
  void at_rest();

 private:
  struct State {
    std::string name;
    std::map<uint16_t, nvme::Sqe> outstanding;  // taken by the target, not completed
    bool is_admin = true;
    bool is_half_closed = false;
    // Since the Connect that was granted. Its own completion says where the queue's head is then.
    bool has_head = false;
    uint16_t sqhd = 0;
    uint64_t taken = 0;      // commands
    uint64_t completed = 0;  // responses
    uint64_t passed = 0;     // by how much SQHD has advanced
  };

  void on_command_taken(const WireQueue& queue, const WireCommand& command, Instant now) override;
  void on_completion(const WireQueue& queue, const WireCompletion& completion, Instant now) override;
  void on_connected(const WireQueue& queue, Instant now) override;
  void on_closed(const WireQueue& queue, Side by, Instant now) override;
  void check_layout(const WireQueue& queue, const nvme::Cqe& cqe, const nvme::Sqe& sqe);
  void check_head(const WireQueue& queue, State& state, uint16_t sqhd);

  template <typename... Args>
  void broken(const WireQueue& queue, fmt::format_string<Args...> format, Args&&... args) {
    referee_.fail("completion", fmt::format("{}: {}", queue.name, fmt::format(format, std::forward<Args>(args)...)));
  }

  Referee& referee_;
  std::map<uint64_t, State> states_;  // by WireQueue::id
};

}  // namespace weft::sim
