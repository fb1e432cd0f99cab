#include "nvmf/registry.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/simulation.h"
#include "nvmf/association_wait.h"
#include "wire/fabrics/connect.h"

namespace weft::nvmf {

Result<uint16_t> Registry::add(Association association) {
  if (associations_.size() >= controllers_max_) return fail(Errc::kLimit, "controllers of the subsystem");
  // The limit is far below the range, so a free id exists; ids in use are skipped.
  while (associations_.contains(next_cntlid_)) next_cntlid_ = next_cntlid_ == fabrics::kCntlidMax ? 1 : next_cntlid_ + 1;
  const uint16_t cntlid = next_cntlid_;
  next_cntlid_ = cntlid == fabrics::kCntlidMax ? 1 : cntlid + 1;
  associations_.emplace(cntlid, std::move(association));
  return cntlid;
}

void Registry::mark_dying(uint16_t cntlid) { associations_.at(cntlid).is_dying = true; }

void Registry::remove(uint16_t cntlid) {
  const auto erased = associations_.erase(cntlid);
  WEFT_ASSERT(erased == 1);
  for (const auto& wait : std::vector{waits_}) wait->look();  // a copy: who is done is forgotten
  note_departure(cntlid);
}

void Registry::after_gone(std::vector<uint16_t> cntlids, std::move_only_function<void()> then) {
  if (cntlids.empty()) return then();
  departures_.push_back({std::move(cntlids), std::move(then)});
}

void Registry::note_departure(uint16_t cntlid) {
  std::vector<std::move_only_function<void()>> ready;
  std::erase_if(departures_, [&](Departure& departure) {
    std::erase(departure.missing, cntlid);
    if (!departure.missing.empty()) return false;
    ready.push_back(std::move(departure.then));
    return true;
  });
  for (auto& then : ready) then();
}

Controller* Registry::find(uint16_t cntlid) const {
  const auto found = associations_.find(cntlid);
  return found == associations_.end() || found->second.is_dying ? nullptr : found->second.controller;
}

std::vector<uint16_t> Registry::cntlids() const {
  std::vector<uint16_t> live;
  for (const auto& [cntlid, association] : associations_) {
    if (!association.is_dying) live.push_back(cntlid);
  }
  return live;
}

bool Registry::knows(const HostIdentity& host) const {
  return std::ranges::any_of(associations_, [&](const auto& entry) { return entry.second.host == host; });
}

std::vector<uint16_t> Registry::dying_of(const HostIdentity& host) const {
  std::vector<uint16_t> dying;
  for (const auto& [cntlid, association] : associations_) {
    if (association.is_dying && association.host == host) dying.push_back(cntlid);
  }
  return dying;
}

void Registry::forget(AssociationWait& wait) {
  std::erase_if(waits_, [&](const auto& each) { return each.get() == &wait; });
}

void Registry::give_up_all() {
  if (!waits_.empty()) WEFT_PROBE("nvmf/removal-ends-connect-wait");
  for (const auto& wait : std::exchange(waits_, {})) wait->give_up();
}

}  // namespace weft::nvmf
