// What one logical block may hold: an atomic register that several hosts write, judged as it is read. Every command that
// may change the block is a Version with bounds on when it took effect; a read that returns its value narrows them. Two
// versions that were both there for certain, and whose bounds put each before the other, are a contradiction: what was
// read is not what a single block can have held (Gibbons and Korach, "Testing shared memories": the zones of a register
// with unique values). Part of a Volume; knows no commands, no statuses and no clock but the Volume's ticks.
#pragma once
#include "host/stamp.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace weft::sim {

/// The Volume's time: a number for each begin and each end of a command, in the order in which they happened.
using Tick = uint64_t;
inline constexpr Tick kNever = std::numeric_limits<Tick>::max();
/// In the place of a command's number.
inline constexpr uint64_t kNoCommand = std::numeric_limits<uint64_t>::max();

/// What a block holds: the stamp of a write, maybe of another block if it was copied here, or zeroes.
using Value = host::Stamp;
inline constexpr Value kZeroes{.run = 0, .sequence = 0, .lba = 0};
std::string to_text(const Value& value);

struct Version {
  /// How the command that writes it stands.
  enum class Fate : uint8_t {
    kPending,  // submitted, no answer
    kLost,     // the connection ended first: it may take effect at any time, or never
    kLate,     // failed, but a device may still have it: as kLost
    kEnded,
  };

  Value value{};               // of a copy whose source was not certain: meaningless until it is read
  std::vector<Value> any_of;   // what such a copy may have brought; empty: `value` is certain, or anything may have come
  bool is_anything = false;    // a copy that is not over, or lost: any value
  bool is_definite = false;    // it did take effect: its command succeeded, or it was read
  bool is_stable = false;      // it lasts without a flush, if it took effect
  bool asks_stable = false;    // its success makes it stable
  Fate fate = Fate::kPending;
  uint64_t id = 0;             // the command's number
  uint32_t host = 0;           // whose command
  Tick began = 0;              // its effect is after this,
  Tick latest = kNever;        // and, if it has one, before this
  Tick seen = 0;               // the block held it at this time or later: `began`, or the begin of a read that returned it
  Tick succeeded = kNever;     // when its command succeeded
  Tick ended = kNever;         // when its command was lost or failed
  bool is_old = false;         // forget_old() drops it
  uint64_t before = kNoCommand;    // the command of a version that is known to be after it, whatever the times say
  uint64_t replaces = kNoCommand;  // fused: the command of the version that it follows directly, where that is known
  std::optional<Value> awaits{};   // fused, with no answer: what the block held when it took effect, if it did

  bool may_be(const Value& wanted) const;
};

/// What is known of the whole volume when a block is looked at.
struct Horizon {
  Tick now = 0;
  Tick oldest_read = 0;         // the begin of the oldest read that is not over
  Tick flushed = 0;             // what succeeded before this lasts
  bool has_cache = false;       // without one, what succeeded lasts
};

/// What is wrong with something that was read.
struct Complaint {
  enum class Rule : uint8_t { kOracle, kDurability, kFused };
  Rule rule;
  std::string what;
};

class BlockHistory {
 public:
  /// A block that was never written: zeroes, for ever.
  BlockHistory();

  /// A command that may change the block has begun.
  void begin(Version version);
  /// The version that command `id` makes here; null when it makes none, or when that is history.
  Version* find(uint64_t id);
  /// Command `id` succeeded now. A copy brought one of `brought`, or if that is absent, anything.
  std::optional<Complaint> succeeded(uint64_t id, const Horizon& horizon);
  std::optional<Complaint> copied(uint64_t id, const std::optional<std::vector<Value>>& brought, const Horizon& horizon);
  /// Command `id` was lost now (kLost), or failed and may take effect later (kLate), or never after now (kEnded).
  void unresolved(uint64_t id, Version::Fate fate, Tick now);
  /// Command `id` failed in a way that says that nothing was done.
  std::optional<Complaint> undone(uint64_t id);
  /// Command `late`, which is not over, can only have taken effect before `newer`, which succeeded.
  void fence(Version& late, const Version& newer) { late.before = newer.id; }

  /// A read that began at `began` returns `value` now.
  std::optional<Complaint> read(const Value& value, Tick began, const Horizon& horizon);
  /// The compare of fused pair `id` found `expected`, and its write succeeded now.
  std::optional<Complaint> exchanged(const Value& expected, uint64_t id, const Horizon& horizon);
  /// As exchanged(), but the answer is not known: if the pair took effect, then on top of `expected`.
  void maybe_exchanged(const Value& expected, uint64_t id, Tick now);
  /// Whether the compare of command `id`, which began at `began` and ends now, could find something else than `value`.
  bool may_differ(const Value& value, uint64_t id, Tick began, Tick now) const;
  /// What the block holds most likely now.
  Value likely() const;
  /// Everything that it could return; absent: anything.
  std::optional<std::vector<Value>> readable(Tick began, Tick now) const;

  /// Every command has died, and what is not stable may be gone: of the versions since the last stable one, one is there.
  void power_cut(const Horizon& horizon);

  std::span<Version> versions() { return versions_; }

 private:
  bool is_readable(const Version& version, Tick began, Tick now) const;
  bool breaks_a_pair(const Version& version, Tick latest, Tick seen) const;
  bool is_gone_after_cut(const Version& version, const Horizon& horizon) const;
  std::vector<Version*> candidates(const Value& value, Tick began, Tick now);
  const Version* find(uint64_t id) const { return const_cast<BlockHistory*>(this)->find(id); }
  void narrow(Version& version, const Value& value, Tick began, Tick now);
  void forget_old(const Horizon& horizon);
  Complaint complaint(const Value& value, Tick began, Tick now) const;

  std::vector<Version> versions_;
  Tick cut_ = kNever;  // the last power cut
};

}  // namespace weft::sim
