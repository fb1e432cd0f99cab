#include "sim/block_history.h"

#include "base/assert.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::sim {
namespace {

/// Bounds of `a` that put it before `b`.
bool is_before(const Version& a, const Version& b) { return a.latest < b.seen; }

bool is_durable(const Version& version, const Horizon& horizon) {
  if (!version.is_definite) return false;
  return version.is_stable || version.succeeded < (horizon.has_cache ? horizon.flushed : kNever);
}

}  // namespace

std::string to_text(const Value& value) {
  if (value == kZeroes) return "zeroes";
  return fmt::format("write {} of host {} to LBA {}", value.sequence, value.run, value.lba);
}

bool Version::may_be(const Value& wanted) const {
  if (is_anything) return true;
  return any_of.empty() ? value == wanted : std::ranges::find(any_of, wanted) != any_of.end();
}

BlockHistory::BlockHistory() {
  versions_.push_back({.value = kZeroes,
                       .is_definite = true,
                       .is_stable = true,
                       .fate = Version::Fate::kEnded,
                       .latest = 0,
                       .succeeded = 0});
}

/// A pair with no answer, too, may still come, and find the same value again: zeroes, or a copy.
void BlockHistory::begin(Version version) {
  for (Version& pair : versions_) {
    if (pair.awaits && !pair.is_definite && version.may_be(*pair.awaits)) pair.replaces = kNoCommand;
  }
  versions_.push_back(std::move(version));
}

Version* BlockHistory::find(uint64_t id) {
  const auto found = std::ranges::find(versions_.rbegin(), versions_.rend(), id, &Version::id);
  return found == versions_.rend() ? nullptr : &*found;
}

std::optional<Complaint> BlockHistory::succeeded(uint64_t id, const Horizon& horizon) {
  if (Version* version = find(id)) {
    version->fate = Version::Fate::kEnded;
    version->is_definite = true;
    version->is_stable = version->asks_stable;
    version->succeeded = horizon.now;
    version->latest = std::min(version->latest, horizon.now);
    forget_old(horizon);
  }
  return std::nullopt;
}

std::optional<Complaint> BlockHistory::copied(uint64_t id, const std::optional<std::vector<Value>>& brought,
                                              const Horizon& horizon) {
  Version* version = find(id);
  if (version == nullptr) return std::nullopt;
  if (version->is_anything && brought) {
    version->is_anything = false;
    version->value = brought->front();
    if (brought->size() > 1) version->any_of = *brought;
  } else if (!version->is_anything && brought && std::ranges::find(*brought, version->value) == brought->end()) {
    return Complaint{Complaint::Rule::kOracle,
                     fmt::format("a copy brought {}, which its source did not hold in the meantime", to_text(version->value))};
  }
  return succeeded(id, horizon);
}

void BlockHistory::unresolved(uint64_t id, Version::Fate fate, Tick now) {
  Version* version = find(id);
  if (version == nullptr) return;
  version->fate = fate;
  version->ended = now;
  if (fate == Version::Fate::kEnded) version->latest = std::min(version->latest, now);
}

std::optional<Complaint> BlockHistory::undone(uint64_t id) {
  const Version* version = find(id);
  if (version == nullptr) return std::nullopt;
  const bool was_read = version->is_definite;
  const Value value = version->value;
  versions_.erase(versions_.begin() + (version - versions_.data()));
  if (!was_read) return std::nullopt;
  return Complaint{Complaint::Rule::kOracle, fmt::format("{} was read, but its command failed without effect", to_text(value))};
}

/// A pair has replaced one version by another at one moment: nothing comes between them, and nothing else replaces the
/// first. Would `version`, with these bounds, break that?
bool BlockHistory::breaks_a_pair(const Version& version, Tick latest, Tick seen) const {
  for (const Version& second : versions_) {
    if (second.replaces == kNoCommand) continue;
    const Version* first = find(second.replaces);
    if (first == nullptr || first == &version) continue;
    if (&second != &version) {
      if (!second.is_definite) continue;
      if (second.replaces == version.replaces) return true;
      if (first->latest < seen && latest < second.seen) return true;
      continue;
    }
    for (const Version& other : versions_) {
      if (&other == &version || &other == first || !other.is_definite) continue;
      if (is_before(*first, other) && other.latest < seen) return true;
    }
  }
  return false;
}

bool BlockHistory::is_readable(const Version& version, Tick began, Tick now) const {
  const Tick latest = std::min(version.latest, now);
  const Tick seen = std::max(version.seen, began);
  for (const Version& other : versions_) {
    if (&other == &version || !other.is_definite) continue;
    if (latest < other.seen && other.latest < seen) return false;
  }
  if (version.before != kNoCommand) {
    const Version* newer = find(version.before);
    if (newer == nullptr || newer->latest < began) return false;
  }
  return !breaks_a_pair(version, latest, seen);
}

void BlockHistory::narrow(Version& version, const Value& value, Tick began, Tick now) {
  version.latest = std::min(version.latest, now);
  version.seen = std::max(version.seen, began);
  version.is_definite = true;
  version.value = value;
  version.any_of.clear();
  version.is_anything = false;
  if (version.replaces == kNoCommand) return;
  if (Version* first = find(version.replaces)) {
    first->is_definite = true;
    first->latest = std::min(first->latest, version.latest);
  }
}

/// The versions that a read which began at `began` and returned `value` now may have seen.
std::vector<Version*> BlockHistory::candidates(const Value& value, Tick began, Tick now) {
  std::vector<Version*> found;
  for (Version& version : versions_) {
    if (version.may_be(value) && is_readable(version, began, now)) found.push_back(&version);
  }
  return found;
}

std::optional<Complaint> BlockHistory::read(const Value& value, Tick began, const Horizon& horizon) {
  const auto found = candidates(value, began, horizon.now);
  if (found.empty()) return complaint(value, began, horizon.now);
  // With several candidates nothing is learned: zeroes and copies have no name.
  if (found.size() == 1) narrow(*found.front(), value, began, horizon.now);
  forget_old(horizon);
  return std::nullopt;
}

std::optional<Complaint> BlockHistory::exchanged(const Value& expected, uint64_t id, const Horizon& horizon) {
  Version* second = find(id);
  if (second == nullptr) return std::nullopt;
  auto found = candidates(expected, second->began, horizon.now);
  std::erase(found, second);
  const size_t readable = found.size();
  std::erase_if(found, [&](const Version* first) {
    return std::ranges::any_of(versions_, [&](const Version& other) {
      return &other != second && other.is_definite && other.replaces == first->id;
    });
  });
  if (found.empty()) {
    Complaint wrong = complaint(expected, second->began, horizon.now);
    if (readable > 0) wrong.what = fmt::format("two fused pairs have replaced {}", to_text(expected));
    wrong.rule = Complaint::Rule::kFused;
    return wrong;
  }
  if (found.size() == 1) {
    second->replaces = found.front()->id;
    narrow(*found.front(), expected, second->began, horizon.now);
  }
  return succeeded(id, horizon);
}

void BlockHistory::maybe_exchanged(const Value& expected, uint64_t id, Tick now) {
  Version* second = find(id);
  if (second == nullptr || second->is_definite) return;
  auto found = candidates(expected, second->began, now);
  std::erase(found, second);
  if (found.size() != 1) return;
  second->replaces = found.front()->id;
  second->awaits = expected;
}

bool BlockHistory::may_differ(const Value& value, uint64_t id, Tick began, Tick now) const {
  return std::ranges::any_of(versions_, [&](const Version& version) {
    if (version.id == id) return false;  // what a pair would have written
    const bool is_certainly_it = !version.is_anything && version.any_of.empty() && version.value == value;
    return !is_certainly_it && is_readable(version, began, now);
  });
}

Value BlockHistory::likely() const {
  const Version* likely = nullptr;
  for (const Version& version : versions_) {
    const bool is_better = likely == nullptr || version.is_definite > likely->is_definite || version.seen >= likely->seen;
    if (!version.is_anything && is_better) likely = &version;
  }
  return likely == nullptr ? kZeroes : likely->value;
}

std::optional<std::vector<Value>> BlockHistory::readable(Tick began, Tick now) const {
  std::vector<Value> values;
  const auto add = [&](const Value& value) {
    if (std::ranges::find(values, value) == values.end()) values.push_back(value);
  };
  for (const Version& version : versions_) {
    if (!is_readable(version, began, now)) continue;
    if (version.is_anything) return std::nullopt;
    if (version.any_of.empty()) add(version.value);
    for (const Value& value : version.any_of) add(value);
  }
  return values;
}

/// Some version that lasts is after it.
bool BlockHistory::is_gone_after_cut(const Version& version, const Horizon& horizon) const {
  for (const Version& other : versions_) {
    if (&other == &version || !is_durable(other, horizon)) continue;
    if (is_before(version, other) || other.replaces == version.id) return true;
  }
  if (version.before == kNoCommand) return false;
  const Version* newer = find(version.before);
  return newer == nullptr || is_durable(*newer, horizon) || is_gone_after_cut(*newer, horizon);
}

void BlockHistory::power_cut(const Horizon& horizon) {
  std::vector<Version> left;
  for (const Version& version : versions_) {
    if (is_gone_after_cut(version, horizon)) continue;
    const bool is_certain = !version.is_anything && version.any_of.empty();
    if (is_certain && std::ranges::any_of(left, [&](const Version& other) { return other.any_of.empty() && !other.is_anything && other.value == version.value; })) continue;
    left.push_back({.value = version.value,
                    .any_of = version.any_of,
                    .is_anything = version.is_anything,
                    .is_stable = true,
                    .fate = Version::Fate::kEnded,
                    .id = version.id,
                    .host = version.host,
                    .began = horizon.now,
                    .latest = horizon.now,
                    .seen = horizon.now,
                    .ended = horizon.now});
  }
  WEFT_ASSERT(!left.empty());
  left.front().is_definite = left.size() == 1;
  versions_ = std::move(left);
  cut_ = horizon.now;
}

/// Drops what no read can return any more, not even one that has begun already, and no power cut bring back.
void BlockHistory::forget_old(const Horizon& horizon) {
  if (versions_.size() == 1) return;
  const Version* newest = nullptr;
  for (const Version& version : versions_) {
    if (!is_durable(version, horizon) || version.latest >= horizon.oldest_read) continue;
    if (newest == nullptr || version.seen > newest->seen) newest = &version;
  }
  if (newest == nullptr) return;
  const auto is_kept = [&](const Version& version) {
    return &version == newest || version.fate == Version::Fate::kPending;
  };
  for (Version& version : versions_) version.is_old = !is_kept(version) && version.latest < newest->seen;
  for (Version& version : versions_) {
    if (version.before == kNoCommand || is_kept(version)) continue;
    const Version* newer = find(version.before);
    version.is_old = newer == nullptr || newer == newest || newer->is_old;
  }
  std::erase_if(versions_, [](const Version& version) { return version.is_old; });
}

Complaint BlockHistory::complaint(const Value& value, Tick began, Tick now) const {
  std::string due;
  bool is_all_from_cut = cut_ != kNever;
  for (const Version& version : versions_) {
    if (!is_readable(version, began, now)) continue;
    if (!due.empty()) due += ", or ";
    due += version.is_anything ? "a copy" : to_text(version.value);
    if (version.began != cut_) is_all_from_cut = false;
  }
  const bool is_known = std::ranges::any_of(versions_, [&](const Version& version) { return version.may_be(value); });
  const bool is_about_a_pair = std::ranges::any_of(versions_, [&](const Version& version) {
    return version.may_be(value) && breaks_a_pair(version, std::min(version.latest, now), std::max(version.seen, began));
  });
  return {is_about_a_pair  ? Complaint::Rule::kFused
          : is_all_from_cut ? Complaint::Rule::kDurability
                            : Complaint::Rule::kOracle,
          fmt::format("{} where {} is due ({})", to_text(value), due.empty() ? "nothing possible" : due,
                      is_known ? "it was overwritten, or undone, before this was asked" : "it was never written there, or overwritten long ago")};
}

}  // namespace weft::sim
