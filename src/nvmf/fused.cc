#include "nvmf/fused.h"

#include "base/simulation.h"
#include "nvmf/io_runner.h"
#include "nvmf/shard.h"

namespace weft::nvmf {
namespace {

BlockRange range_of_pair(const Command& command) { return {command.sqe.slba(), command.sqe.block_count()}; }

/// The range is ours on every shard.
void frozen(Command& first) {
  NamespaceView& view = *first.target_view;
  first.holds_freeze = true;
  view.enter_exclusive(first);
  view.release();
  // The second was aborted meanwhile, or the connection is gone: then nothing is done any more.
  if (first.partner == nullptr || first.queue->state() == QueueState::kDetached) {
    WEFT_PROBE("nvmf/fused-pair-broken-while-freezing");
    return first.queue->complete(first, nvme::status::kAbortedFailedFused);
  }
  // The freeze has waited for writes until they timed out: they may still reach the medium, after the pair's.
  const nvme::Status available = IoRunner::availability(view.ns(), first.partner->sqe);
  if (!available.ok()) return first.queue->complete(first, available);
  IoRunner::run(first);
}

}  // namespace

void fused_half_ready(Queue& queue, Command& command) {
  Command* other = command.partner;
  queue.wait_partner(command);
  if (other == nullptr || other->state != CommandState::kWaitPartner) return;
  Command& first = command.sqe.fuse() == nvme::Fuse::kFirst ? command : *other;
  queue.begin_pair(first);
  NamespaceView& view = *first.target_view;
  view.hold();
  Shard& shard = queue.shard();
  shard.home().post([&view, &shard, &first] {
    view.ns().freezer().freeze(view.subsystem(), range_of_pair(first), shard, [&first] { frozen(first); });
  });
}

void fused_compare_equal(Command& first) {
  Queue& queue = *first.queue;
  if (first.partner == nullptr) {  // the second was aborted meanwhile
    WEFT_PROBE("nvmf/fused-compare-alone");
    return queue.complete(first, nvme::status::kSuccess);
  }
  Command& second = *first.partner;
  NamespaceView& view = *first.view;
  first.partner = second.partner = nullptr;
  second.holds_freeze = std::exchange(first.holds_freeze, false);
  view.enter_exclusive(second);
  queue.begin_pair(second);
  queue.complete(first, nvme::status::kSuccess);
  IoRunner::run(second);
}

void thaw(Command& command) {
  WEFT_ASSERT(command.holds_freeze);
  command.holds_freeze = false;
  NamespaceView& view = *command.target_view;
  view.hold();  // until the home reactor has used the namespace
  Shard& shard = view.shard();
  shard.home().post([&view, &shard] {
    view.ns().freezer().thaw();
    shard.reactor().post([&view] { view.release(); });
  });
}

}  // namespace weft::nvmf
