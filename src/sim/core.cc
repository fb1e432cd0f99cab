#include "sim/core.h"

#include <algorithm>
#include <utility>

namespace weft::sim {
namespace {

constexpr int64_t kWallClockAtStartMs = 1'700'000'000'000;

}  // namespace

uint64_t Core::wall_clock_ms() {
  return uint64_t(kWallClockAtStartMs + agenda_.now().ns / 1'000'000 + wall_offset_ms_);
}

void Core::wait(Instant deadline) {
  while (!is_woken_ && agenda_.next() <= deadline) agenda_.step();
  if (!is_woken_ && deadline != Instant::never()) agenda_.run_until(deadline);
  is_woken_ = false;
}

void Core::wake() {
  if (is_asleep_) return schedule(agenda_.now() + pace());
  is_woken_ = true;
}

void Core::run(Reactor& reactor) {
  reactor_ = &reactor;
  schedule(agenda_.now() + pace());
}

/// How long a cycle takes: mostly a microsecond or two; now and then other work of the machine comes between.
Duration Core::pace() {
  if (random_.one_in(64)) return microseconds(int64_t(random_.below(300)));
  return nanoseconds(300 + int64_t(random_.below(3000)));
}

void Core::schedule(Instant when) {
  if (next_turn_ <= when) return;
  next_turn_ = when;
  agenda_.at(when, [this, ticket = ++ticket_, life = std::weak_ptr(life_)] {
    if (!life.expired() && ticket == ticket_) turn();
  });
}

void Core::turn() {
  next_turn_ = Instant::never();
  if (agenda_.now() < stalled_until_) return schedule(stalled_until_);
  if (std::exchange(is_falling_asleep_, false)) return fall_asleep();
  if (std::exchange(is_asleep_, false)) reactor_->wake_up();
  const auto worked = reactor_->run_once();
  const bool is_due_again = worked == Reactor::Turn::kWorked || std::exchange(is_woken_, false);
  // An idle reactor polls for a while before it sleeps; how long is drawn, so that the sleep begins anywhere.
  if (is_due_again || random_.one_in(4)) return schedule(agenda_.now() + pace());
  // Others may do something between the last look and the sleep.
  is_falling_asleep_ = random_.one_in(8);
  is_falling_asleep_ ? schedule(agenda_.now() + pace()) : fall_asleep();
}

void Core::fall_asleep() {
  if (std::exchange(is_woken_, false)) return schedule(agenda_.now() + pace());
  const auto deadline = reactor_->fall_asleep();
  if (!deadline) return schedule(agenda_.now() + pace());
  is_asleep_ = true;
  if (*deadline != Instant::never()) schedule(*deadline);
}

}  // namespace weft::sim
