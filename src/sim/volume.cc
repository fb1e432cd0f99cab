#include "sim/volume.h"

#include "base/assert.h"
#include "wire/print.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace weft::sim {
namespace {

namespace status = nvme::status;

bool is_zero(std::span<const std::byte> bytes) {
  return bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

/// Absent: neither a sound stamp nor zeroes.
std::optional<Value> value_of(std::span<const std::byte> bytes) {
  const host::StampReading reading = host::read_stamp(bytes);
  if (reading.check == host::StampCheck::kGood) return reading.stamp;
  if (reading.check == host::StampCheck::kNone && is_zero(bytes)) return kZeroes;
  return std::nullopt;
}

}  // namespace

Volume::Volume(const VolumeTraits& traits, Referee& referee)
    : traits_(traits), referee_(referee), sizes_{{traits.block_count}} {}

BlockHistory& Volume::block(uint64_t lba) {
  const size_t index = lba / kChunkBlocks;
  if (index >= chunks_.size()) chunks_.resize(index + 1);
  if (chunks_[index] == nullptr) chunks_[index] = std::make_unique<Chunk>();
  return (*chunks_[index])[lba % kChunkBlocks];
}

const BlockHistory* Volume::known_block(uint64_t lba) const {
  const size_t index = lba / kChunkBlocks;
  if (index >= chunks_.size() || chunks_[index] == nullptr) return nullptr;
  return &(*chunks_[index])[lba % kChunkBlocks];
}

Horizon Volume::horizon() const {
  return {.now = tick_,
          .oldest_read = reading_.empty() ? tick_ + 1 : *reading_.begin(),
          .flushed = flushed_,
          .has_cache = traits_.has_volatile_cache};
}

/// f(history, lba, index in the command)
template <typename F>
void Volume::for_each_read(const Access& access, F&& f) {
  uint64_t index = 0;
  for (const Blocks& range : access.ranges) {
    for (uint64_t lba = range.first; lba < range.end(); ++lba) f(block(lba), lba, index++);
  }
}

template <typename F>
void Volume::for_each_written(const Access& access, F&& f) {
  if (access.kind != AccessKind::kCopy) return for_each_read(access, f);
  for (uint64_t index = 0; index < access.block_count(); ++index) f(block(access.target + index), access.target + index, index);
}

Value Volume::written(const Access& access, uint64_t index) {
  if (access.kind == AccessKind::kWriteZeroes || access.kind == AccessKind::kDeallocate) return kZeroes;
  return {.run = access.host, .sequence = access.id, .lba = access.ranges.front().first + index};
}

void Volume::fill(const Access& access, std::span<std::byte> data) const {
  for (uint64_t i = 0; i < data.size() / traits_.block_size; ++i) {
    host::write_stamp(data.subspan(i * traits_.block_size, traits_.block_size), written(access, i));
  }
}

void Volume::fill(std::span<const Value> values, std::span<std::byte> data) const {
  WEFT_ASSERT(data.size() == values.size() * traits_.block_size);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto bytes = data.subspan(i * traits_.block_size, traits_.block_size);
    if (values[i] == kZeroes) {
      std::ranges::fill(bytes, std::byte{0});
    } else {
      host::write_stamp(bytes, values[i]);
    }
  }
}

std::vector<Value> Volume::likely(Blocks range) const {
  std::vector<Value> values;
  for (uint64_t lba = range.first; lba < range.end(); ++lba) {
    const BlockHistory* history = known_block(lba);
    values.push_back(history == nullptr ? kZeroes : history->likely());
  }
  return values;
}

std::optional<uint64_t> Volume::next_touched(uint64_t lba) const {
  while (lba < traits_.block_count) {
    if (known_block(lba) != nullptr) return lba;
    lba = (lba / kChunkBlocks + 1) * kChunkBlocks;
  }
  return std::nullopt;
}

void Volume::begin(Access& access) {
  WEFT_ASSERT(access.kind != AccessKind::kFused || access.expected.size() == access.block_count());
  access.began = access.id = ++tick_;
  access.epoch = epoch_;
  if (access.reads_blocks()) reading_.insert(access.began);
  if (!access.changes_blocks()) return;
  if (access.kind == AccessKind::kDeallocate && traits_.deallocated == Deallocated::kKept) return;
  // Nobody promises that deallocation is stable.
  const bool asks_stable = access.stability == Stability::kStable && access.kind != AccessKind::kDeallocate;
  for_each_written(access, [&](BlockHistory& history, uint64_t, uint64_t index) {
    if (history.find(access.id) != nullptr) return;  // ranges of a deallocate may overlap
    history.begin({.value = written(access, index),
                   .is_anything = access.kind == AccessKind::kCopy,
                   .asks_stable = asks_stable,
                   .id = access.id,
                   .host = access.host,
                   .began = tick_,
                   .seen = tick_});
  });
}

/// The command has ended. True when what it did was judged already: everything outstanding has died since it began.
bool Volume::is_over(Access& access) {
  ++tick_;
  reading_.erase(access.began);
  return access.epoch != epoch_;
}

void Volume::completed(Access& access, nvme::Status status, std::span<const std::byte> data) {
  WEFT_ASSERT(access.kind != AccessKind::kFused);
  if (is_over(access)) return;
  if (status.ok()) return succeeded(access, data);
  if (status.is(status::kCompareFailure) && access.kind == AccessKind::kCompare) return check_difference(access);
  failed(access, status);
}

void Volume::succeeded(Access& access, std::span<const std::byte> data) {
  if (!may_be_in_range(access)) report(access, "oracle", "success beyond the end of the namespace");
  switch (access.kind) {
    case AccessKind::kRead: return check_read(access, data);
    case AccessKind::kCompare:
      return for_each_read(access, [&](BlockHistory& history, uint64_t lba, uint64_t index) {
        report(access, lba, history.read(access.expected[index], access.began, horizon()));
      });
    case AccessKind::kWrite:
    case AccessKind::kWriteZeroes:
    case AccessKind::kDeallocate:
    case AccessKind::kCopy: return wrote(access);
    case AccessKind::kFlush: flushed_ = std::max(flushed_, access.began); return;
    case AccessKind::kVerify:
    case AccessKind::kFused: return;
  }
}

void Volume::check_read(const Access& access, std::span<const std::byte> data) {
  WEFT_ASSERT(data.size() == access.block_count() * traits_.block_size);
  for_each_read(access, [&](BlockHistory& history, uint64_t lba, uint64_t index) {
    const auto value = value_of(data.subspan(index * traits_.block_size, traits_.block_size));
    if (!value) {
      return report(access, lba, Complaint{Complaint::Rule::kOracle, "neither a sound stamp nor zeroes: a torn or corrupted block"});
    }
    report(access, lba, history.read(*value, access.began, horizon()));
  });
}

/// A compare found a difference. Some block must have been able to differ.
void Volume::check_difference(const Access& access) {
  bool may_differ = false;
  for_each_read(access, [&](BlockHistory& history, uint64_t, uint64_t index) {
    may_differ = may_differ || history.may_differ(access.expected[index], access.id, access.began, tick_);
  });
  const auto checker = access.kind == AccessKind::kFused ? "fused" : "oracle";
  if (!may_differ) report(access, checker, "Compare Failure, but every block is certain to hold what was compared");
}

void Volume::wrote(const Access& access) {
  const Horizon now = horizon();
  for_each_written(access, [&](BlockHistory& history, uint64_t lba, uint64_t index) {
    if (access.kind == AccessKind::kCopy) {
      report(access, lba, history.copied(access.id, block(access.source(index)).readable(access.began, tick_), now));
    } else if (access.kind == AccessKind::kDeallocate && traits_.deallocated != Deallocated::kZeroed) {
      history.unresolved(access.id, Version::Fate::kEnded, tick_);
      return;
    } else if (access.kind == AccessKind::kFused) {
      report(access, lba, history.exchanged(access.expected[index], access.id, now));
    } else {
      report(access, lba, history.succeeded(access.id, now));
    }
    fence(history, access);
  });
}

/// A write that began after a lost or late one can no longer come, and that succeeded: it is the newer one.
void Volume::fence(BlockHistory& history, const Access& access) {
  Version* newer = history.find(access.id);
  if (newer == nullptr) return;
  for (Version& late : history.versions()) {
    if (late.before != kNoCommand) continue;
    const bool is_out = (late.fate == Version::Fate::kLate && late.ended < access.began) ||
                        (late.fate == Version::Fate::kLost && late.ended < associated_[late.host] &&
                         associated_[late.host] < access.began);
    if (is_out) history.fence(late, *newer);
  }
}

void Volume::failed(Access& access, nvme::Status status) {
  if (status.is(status::kLbaOutOfRange) && may_be_out_of_range(access)) return apply(access, Effect::kNone);
  const Explanation explanation = errors_.explain(access, status);
  if (!explanation.is_explained) {
    report(access, "oracle", fmt::format("{}, which no fault explains", nvme::to_text(status)));
  }
  apply(access, explanation.effect);
}

void Volume::pair_completed(Access& access, nvme::Status first, nvme::Status second) {
  WEFT_ASSERT(access.kind == AccessKind::kFused);
  if (is_over(access)) return;
  if (first.ok() && second.ok()) return wrote(access);
  if (second.ok()) return report(access, "fused", fmt::format("the Write succeeded, but the Compare did not: {}", nvme::to_text(first)));
  if (first.is(status::kCompareFailure)) {
    check_difference(access);
    const bool is_aborted = access.may_be_aborted && second.is(status::kAbortRequested);
    if (!second.is(status::kAbortedFailedFused) && !is_aborted) {
      report(access, "fused", fmt::format("the Compare failed, and the Write was answered {}", nvme::to_text(second)));
    }
    return apply(access, Effect::kNone);
  }
  // What stopped one half stops the other: one of them says why. The share of buffers for pairs may be used up.
  const auto is_consequence = [](nvme::Status half) {
    return half.ok() || half.is(status::kAbortedFailedFused) || half.is(status::kAbortedMissingFused);
  };
  const nvme::Status why = is_consequence(second) ? first : second;
  const bool is_short_of_buffers = why.is(status::kInternalError) && !why.dnr();
  if (is_short_of_buffers || (is_consequence(why) && access.may_be_aborted)) return apply(access, first.ok() ? Effect::kBeforeItsEnd : Effect::kNone);
  if (is_consequence(why)) {
    report(access, "fused", fmt::format("neither half says why the pair failed: {}; {}", nvme::to_text(first), nvme::to_text(second)));
  }
  failed(access, why);
}

void Volume::lost(Access& access) {
  if (is_over(access)) return;
  if (!access.changes_blocks()) return;
  for_each_written(access, [&](BlockHistory& history, uint64_t, uint64_t index) {
    if (access.kind == AccessKind::kFused) history.maybe_exchanged(access.expected[index], access.id, tick_);
    history.unresolved(access.id, Version::Fate::kLost, tick_);
  });
}

void Volume::apply(const Access& access, Effect effect) {
  if (!access.changes_blocks()) return;
  for_each_written(access, [&](BlockHistory& history, uint64_t lba, uint64_t index) {
    if (effect == Effect::kNone) return report(access, lba, history.undone(access.id));
    if (access.kind == AccessKind::kFused) history.maybe_exchanged(access.expected[index], access.id, tick_);
    history.unresolved(access.id, effect == Effect::kAnyTime ? Version::Fate::kLate : Version::Fate::kEnded, tick_);
  });
}

bool Volume::may_be_in_range(const Access& access) const {
  uint64_t end = access.kind == AccessKind::kCopy ? access.target + access.block_count() : 0;
  for (const Blocks& range : access.ranges) end = std::max(end, range.end());
  return std::ranges::any_of(sizes_, [&](const Size& size) { return size.until > access.began && end <= size.block_count; });
}

bool Volume::may_be_out_of_range(const Access& access) const {
  uint64_t end = access.kind == AccessKind::kCopy ? access.target + access.block_count() : 0;
  for (const Blocks& range : access.ranges) end = std::max(end, range.end());
  return std::ranges::any_of(sizes_, [&](const Size& size) { return size.until > access.began && end > size.block_count; });
}

void Volume::associated(uint32_t host) { associated_[host] = ++tick_; }

void Volume::power_cut() {
  if (!traits_.survives_the_process) return lose_all();
  ++tick_;
  const Horizon now = horizon();
  for (auto& chunk : chunks_) {
    if (chunk == nullptr) continue;
    for (BlockHistory& history : *chunk) history.power_cut(now);
  }
  ++epoch_;
  reading_.clear();
}

void Volume::process_crashed() {
  if (!traits_.survives_the_process) lose_all();
}

void Volume::lose_all() {
  ++tick_;
  ++epoch_;
  reading_.clear();
  chunks_.clear();
}

void Volume::start_resize(uint64_t block_count) {
  ++tick_;
  sizes_.push_back({block_count});
}

void Volume::finish_resize() {
  WEFT_ASSERT(sizes_.size() > 1);
  ++tick_;
  const uint64_t block_count = sizes_.back().block_count;
  for (size_t i = 0; i + 1 < sizes_.size(); ++i) sizes_[i].until = std::min(sizes_[i].until, tick_);
  traits_.block_count = block_count;
}

bool Volume::explains(const Access& access, nvme::Status got) const {
  if (got.is(status::kLbaOutOfRange) && may_be_out_of_range(access)) return true;
  return errors_.explain(access, got).is_explained;
}

void Volume::report(const Access& access, uint64_t lba, const std::optional<Complaint>& complaint) {
  if (!complaint) return;
  const char* checker = complaint->rule == Complaint::Rule::kFused        ? "fused"
                        : complaint->rule == Complaint::Rule::kDurability ? "durability"
                                                                          : "oracle";
  report(access, checker, fmt::format("LBA {}: {}", lba, complaint->what));
}

void Volume::report(const Access& access, std::string_view checker, std::string_view what) {
  referee_.fail(checker, fmt::format("namespace {}, {}: {}", traits_.nsid, to_text(access), what));
}

}  // namespace weft::sim
