#include "nvmf/registry.h"

#include <algorithm>

#include "base/assert.h"
#include "wire/fabrics/connect.h"

namespace weft::nvmf {

Result<uint16_t> Registry::add(Controller& controller, const HostIdentity& host) {
  if (entries_.size() >= controllers_max_) return fail(Errc::kLimit, "controllers of the subsystem");
  // The limit is far below the range, so a free id exists; ids in use are skipped.
  while (entries_.contains(next_cntlid_)) next_cntlid_ = next_cntlid_ == fabrics::kCntlidMax ? 1 : next_cntlid_ + 1;
  const uint16_t cntlid = next_cntlid_;
  next_cntlid_ = cntlid == fabrics::kCntlidMax ? 1 : cntlid + 1;
  entries_.emplace(cntlid, Entry{&controller, host});
  return cntlid;
}

void Registry::mark_dying(uint16_t cntlid) { entries_.at(cntlid).is_dying = true; }

void Registry::remove(uint16_t cntlid) {
  const auto erased = entries_.erase(cntlid);
  WEFT_ASSERT(erased == 1);
  run_ready();
}

Controller* Registry::find(uint16_t cntlid) const {
  const auto entry = entries_.find(cntlid);
  return entry == entries_.end() || entry->second.is_dying ? nullptr : entry->second.controller;
}

std::vector<uint16_t> Registry::cntlids() const {
  std::vector<uint16_t> live;
  for (const auto& [cntlid, entry] : entries_) {
    if (!entry.is_dying) live.push_back(cntlid);
  }
  return live;
}

bool Registry::has_dying(const HostIdentity& host) const {
  return std::ranges::any_of(entries_, [&](const auto& entry) { return entry.second.is_dying && entry.second.host == host; });
}

void Registry::after_dying(const HostIdentity& host, const void* key, std::move_only_function<void()> then) {
  if (!has_dying(host)) return then();
  waiters_.push_back({host, key, std::move(then)});
}

void Registry::give_up(const void* key) {
  const auto waiter = std::ranges::find(waiters_, key, &Waiter::key);
  if (waiter == waiters_.end()) return;
  auto then = std::move(waiter->then);
  waiters_.erase(waiter);
  then();
}

void Registry::run_ready() {
  std::vector<std::move_only_function<void()>> ready;
  std::erase_if(waiters_, [&](Waiter& waiter) {
    if (has_dying(waiter.host)) return false;
    ready.push_back(std::move(waiter.then));
    return true;
  });
  for (auto& then : ready) then();
}

}  // namespace weft::nvmf
