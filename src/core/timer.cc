#include "core/timer.h"

#include <algorithm>
#include <bit>

#include "base/simulation.h"

namespace weft {

void TimerWheel::arm(Timer& timer, Instant deadline) {
  disarm(timer);
  timer.deadline_ = deadline;
  // Rounded up, so that a timer never fires early; never behind the tick that advance() fires next.
  const int64_t tick = std::max(tick_, deadline.ns / kTickNs + (deadline.ns % kTickNs != 0));
  const size_t index = size_t(tick) % kSlots;
  slots_[index].push_back(timer);
  occupied_[index / 64] |= uint64_t{1} << (index % 64);
  ++armed_;
}

void TimerWheel::disarm(Timer& timer) {
  if (!timer.is_armed()) return;
  timer.link_.unlink();
  --armed_;  // the slot's bit stays; the next pass clears it
}

size_t TimerWheel::fire_slot(size_t index, Instant now) {
  size_t fired = 0;
  occupied_[index / 64] &= ~(uint64_t{1} << (index % 64));
  Slot due;
  Slot later;
  while (Timer* timer = slots_[index].pop_front()) (timer->deadline_ <= now ? due : later).push_back(*timer);
  while (Timer* timer = later.pop_front()) {  // a later revolution
    slots_[index].push_back(*timer);
    occupied_[index / 64] |= uint64_t{1} << (index % 64);
  }
  while (Timer* timer = due.pop_front()) {  // may be disarmed by one that fires before it: then it is no longer in the list
    --armed_;
    ++fired;
    timer->fire_(timer->context_);
  }
  return fired;
}

size_t TimerWheel::advance(Instant now) {
  const int64_t target = ticks(now);
  size_t fired = 0;
  if (target - tick_ >= int64_t{kSlots}) {
    WEFT_PROBE("core/timers-skip-a-revolution");
    tick_ = target - int64_t{kSlots} + 1;  // one revolution sees every slot
  }
  for (; tick_ <= target; ++tick_) {
    const size_t index = size_t(tick_) % kSlots;
    if ((occupied_[index / 64] >> (index % 64)) & 1) fired += fire_slot(index, now);
  }
  return fired;
}

Instant TimerWheel::next_deadline() const {
  if (armed_ == 0) return Instant::never();
  const size_t start = size_t(tick_) % kSlots;
  for (size_t i = 0; i <= occupied_.size(); ++i) {
    const size_t word = (start / 64 + i) % occupied_.size();
    uint64_t set = occupied_[word];
    if (i == 0) set &= ~uint64_t{0} << (start % 64);
    if (i == occupied_.size()) set &= ~(~uint64_t{0} << (start % 64));
    if (set == 0) continue;
    const size_t index = word * 64 + size_t(std::countr_zero(set));
    const size_t distance = (index + kSlots - start) % kSlots;
    return Instant{(tick_ + int64_t(distance)) * kTickNs};
  }
  return Instant{(tick_ + int64_t{kSlots}) * kTickNs};
}

}  // namespace weft
