// Until when a target may be excused for being late: the simulator has kept one of its reactors from its turns.
#pragma once
#include "base/time.h"

#include <algorithm>
#include <cstddef>
#include <map>

namespace weft::sim {

class TargetStalls {
 public:
  void add(size_t target_machine, Instant until) {
    Instant& end = until_[target_machine];
    end = std::max(end, until);
  }
  /// `due`, or what is left of a moment after the last stall if that is later.
  Instant excuse(size_t target_machine, Instant due) const {
    const auto found = until_.find(target_machine);
    return found == until_.end() ? due : std::max(due, found->second + kCatchUp);
  }
  /// Whether a stall ended less than a moment before `now`, or has not ended.
  bool is_recent(size_t target_machine, Instant now) const { return excuse(target_machine, now) > now; }

 private:
  static constexpr Duration kCatchUp = milliseconds(100);
  std::map<size_t, Instant> until_;
};

}  // namespace weft::sim
