#include "nvmf/namespace_view.h"

#include <algorithm>

#include "base/simulation.h"

namespace weft::nvmf {

NamespaceView::~NamespaceView() { WEFT_ASSERT(is_idle()); }

void NamespaceView::set_block_count(uint64_t block_count) {
  info_.block_count = block_count;
  block_count_max_ = std::max(block_count_max_, block_count);
}

/// There is a freeze.
bool NamespaceView::parks(Command& command, BlockRange range) {
  if (!frozen_->overlaps(range) || WEFT_PLANTED("freeze-lets-pass")) return false;
  WEFT_PROBE("nvmf/freeze-parks");
  parked_.push_back(command);
  return true;
}

void NamespaceView::last_has_left(uint8_t epoch) {
  if (on_drained_ && epoch != epoch_) std::exchange(on_drained_, {})();
  if (on_idle_ && is_idle()) std::exchange(on_idle_, {})();
}

void NamespaceView::freeze(BlockRange range, std::move_only_function<void()> drained) {
  WEFT_ASSERT(!frozen_ && !on_drained_);
  frozen_ = range;
  // The other epoch is empty: it was drained by the freeze before this one, which has been thawed since.
  WEFT_ASSERT(running_[epoch_ ^ 1] == 0);
  const bool is_drained = running_[epoch_] == 0;
  epoch_ ^= 1;
  if (is_drained) {
    drained();
  } else {
    on_drained_ = std::move(drained);
  }
}

void NamespaceView::thaw(std::move_only_function<void(Command&)> resume) {
  WEFT_ASSERT(frozen_);
  frozen_.reset();
  IntrusiveList<Command, &Command::link> ready;
  while (Command* command = parked_.pop_front()) ready.push_back(*command);
  while (Command* command = ready.pop_front()) resume(*command);
}

void NamespaceView::on_idle(std::move_only_function<void()> drained) {
  WEFT_ASSERT(!on_idle_);
  if (is_idle() || WEFT_PLANTED("namespace-freed-in-flight")) {
    drained();
  } else {
    WEFT_PROBE("nvmf/namespace-leaves-with-commands");
    on_idle_ = std::move(drained);
  }
}

}  // namespace weft::nvmf
