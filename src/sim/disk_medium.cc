#include "sim/disk_medium.h"

#include "base/assert.h"

#include <algorithm>
#include <utility>

namespace weft::sim {

DiskQueue::DiskQueue(Disk& disk, uint64_t removals, Reactor& reactor)
    : disk_(disk), removals_(removals), reactor_(reactor) {
  reactor.add(*this);
}

DiskQueue::~DiskQueue() {
  WEFT_ASSERT(disk_.outstanding(*this) == 0);
  poller_link.unlink();
}

void DiskQueue::submit(media::Operation& operation) { gathered_.push_back(disk_.submit(*this, operation, removals_)); }

size_t DiskQueue::flush() {
  for (const Writer number : std::exchange(gathered_, {})) disk_.start(number);
  return 0;
}

void DiskQueue::on_ready(Writer number) {
  ready_.push_back(number);
  reactor_.clock().wake();
}

size_t DiskQueue::poll() {
  if (ready_.empty()) return 0;
  const auto end = ready_.begin() + ptrdiff_t(std::min(ready_.size(), kPollMax));
  const std::vector<Writer> batch(ready_.begin(), end);
  ready_.erase(ready_.begin(), end);
  Disk& disk = disk_;  // the last owner may destroy this queue
  for (const Writer number : batch) {
    const auto [operation, result] = disk.take(number);
    if (operation != nullptr) operation->owner->operation_done(*operation, result);
  }
  return batch.size();
}

}  // namespace weft::sim
