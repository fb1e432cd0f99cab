#include "nvmf/freezer.h"

#include "base/simulation.h"
#include "nvmf/shard.h"

namespace weft::nvmf {

void Freezer::freeze(uint32_t subsystem, BlockRange range, Shard& requester, std::move_only_function<void()> granted) {
  waiting_.push_back({subsystem, range, &requester, std::move(granted)});
  if (waiting_.size() == 1) start_next();
}

void Freezer::start_next() {
  const Request& request = waiting_.front();
  acknowledgements_missing_ = shards_.size();
  for (Shard* shard : shards_) {
    shard->reactor().post([this, shard, subsystem = request.subsystem, nsid = nsid_, range = request.range] {
      shard->freeze(subsystem, nsid, range, [this, shard] {
        shard->home().post([this] { acknowledged(); });
      });
    });
  }
}

void Freezer::acknowledged() {
  if (--acknowledgements_missing_ > 0) return;
  Request& request = waiting_.front();
  request.requester->reactor().post(std::move(request.granted));
}

void Freezer::thaw() {
  const Request& request = waiting_.front();
  // In order before any later freeze: one sender's messages arrive in the order in which they were posted.
  for (Shard* shard : shards_) {
    shard->reactor().post([shard, subsystem = request.subsystem, nsid = nsid_] { shard->thaw(subsystem, nsid); });
  }
  waiting_.pop_front();
  if (waiting_.empty()) return;
  WEFT_PROBE("nvmf/freeze-waits-for-freeze");
  start_next();
}

}  // namespace weft::nvmf
