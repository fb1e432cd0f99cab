#include "sim/agenda.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace weft::sim {

bool Agenda::is_later(const Event& a, const Event& b) {
  return std::tie(a.when.ns, a.lot, a.sequence) > std::tie(b.when.ns, b.lot, b.sequence);
}

void Agenda::at(Instant when, Action action) {
  events_.push_back({std::max(when, now_), random_.next(), sequence_++, std::move(action)});
  std::push_heap(events_.begin(), events_.end(), is_later);
}

bool Agenda::step() {
  if (events_.empty()) return false;
  std::pop_heap(events_.begin(), events_.end(), is_later);
  Event event = std::move(events_.back());
  events_.pop_back();
  now_ = event.when;
  event.action();
  return true;
}

void Agenda::run_until(Instant end) {
  while (next() <= end) step();
  now_ = std::max(now_, end);
}

}  // namespace weft::sim
