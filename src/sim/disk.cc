#include "sim/disk.h"

#include "base/assert.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <utility>

namespace weft::sim {
namespace {

constexpr std::byte kPoison{0xa7};
constexpr BlockMask kAllBlocks{};

bool moves_data(media::Kind kind) {
  return kind == media::Kind::kRead || kind == media::Kind::kWrite || kind == media::Kind::kWriteStable;
}

std::string_view name_of(media::Kind kind) {
  switch (kind) {
    case media::Kind::kRead:
      return "read";
    case media::Kind::kWrite:
      return "write";
    case media::Kind::kWriteStable:
      return "stable write";
    case media::Kind::kSync:
      return "sync";
    case media::Kind::kZero:
      return "zero";
    case media::Kind::kZeroDeallocate:
      return "zero and deallocate";
    case media::Kind::kDiscard:
      return "discard";
  }
  return "unknown";
}

}  // namespace

Disk::Disk(const World& world, const DiskShape& shape, Prng random, const DiskOptions& options)
    : world_(world), shape_(shape), random_(random), options_(options), blocks_(shape.physical_block_bytes) {
  WEFT_ASSERT(shape.size_bytes > 0);
  WEFT_ASSERT(shape.size_bytes % shape.physical_block_bytes == 0);
}

bdev::Info Disk::info(uint32_t block_size) const {
  return {.name = shape_.name,
          .medium_id = shape_.name,
          .block_count = shape_.size_bytes / block_size,
          .block_size = block_size,
          .preferred_blocks = std::max(1u, shape_.physical_block_bytes / block_size),
          .has_volatile_cache = shape_.has_volatile_cache,
          .can_deallocate = true,
          .deallocated_reads_zero = shape_.discarded_reads_zero};
}

Writer Disk::submit(DiskClient& client, media::Operation& operation, uint64_t removals) {
  const Writer number = next_number_++;
  Work work{.client = &client,
            .operation = &operation,
            .kind = operation.kind,
            .offset = operation.offset,
            .length = operation.length,
            .removals = removals};
  if (work.kind == media::Kind::kSync) {
    work.coverage = coverage_before(number);
  } else {
    WEFT_ASSERT(operation.length > 0);
  }
  if (work.kind == media::Kind::kRead) std::memset(operation.data, int(kPoison), operation.length);
  if (moves_data(work.kind)) work.lent.assign(operation.data, operation.data + operation.length);
  operations_.emplace(number, std::move(work));
  return number;
}

Coverage Disk::coverage_before(Writer number) const {
  Coverage coverage{.end = number, .under_way = {}};
  for (const auto& [other, outstanding] : operations_) coverage.under_way.push_back(other);
  return coverage;
}

void Disk::flush() {
  if (!has_failed_sync_) blocks_.sync(coverage_before(next_number_));
}

void Disk::start(Writer number) {
  const auto found = operations_.find(number);
  if (found == operations_.end()) return;
  Work& work = found->second;
  WEFT_ASSERT(work.state == State::kSubmitted);
  work.state = State::kWorking;
  decide(work);
  const Duration latency = draw_latency();
  if (!options_.reorders) {
    last_due_ = std::max(Instant{last_due_.ns + 1}, world_.agenda.now() + latency);
    return finish_after(number, last_due_ - world_.agenda.now());
  }
  if (!is_whole(work) && !random_.one_in(4) && !work.is_effect_lost) {
    const BlockMask early{random_.next()};
    world_.agenda.after({int64_t(random_.below(uint64_t(latency.ns) + 1))}, [this, number, early] {
      const auto still = operations_.find(number);
      if (still == operations_.end() || still->second.state != State::kWorking || is_hanging_) return;
      take_effect(number, still->second, early);
    });
  }
  finish_after(number, latency);
}

/// Draws how the operation will end.
void Disk::decide(Work& work) {
  if (!is_there_since(work.removals)) return fail(work, random_.one_in(2) ? EIO : ENODEV);
  if (options_.is_unsupported[size_t(work.kind)]) return fail(work, EOPNOTSUPP);
  if (!is_acceptable(work)) return fail(work, EINVAL);
  if (work.kind != media::Kind::kRead && work.offset + work.length > shape_.size_bytes) return fail(work, ENOSPC);
  if (options_.lost_one_in != 0 && random_.one_in(options_.lost_one_in)) {
    work.will_be_lost = true;
    work.is_effect_lost = random_.one_in(2);
    ++counts_.lost;
  }
  succeed(work);
  if (work.kind == media::Kind::kSync) {
    work.drops_unsynced = options_.sync_error_one_in != 0 && random_.one_in(options_.sync_error_one_in);
    if (work.drops_unsynced) work.result = -options_.error_number;
  } else if (touches_bad_range(work) || (options_.error_one_in != 0 && random_.one_in(options_.error_one_in))) {
    work.result = -options_.error_number;  // after it has taken effect in part, maybe
  }
}

/// An error without any effect.
void Disk::fail(Work& work, int error_number) {
  work.result = -error_number;
  work.effect_bytes = 0;
}

void Disk::succeed(Work& work) {
  work.effect_bytes = work.length;
  if (!moves_data(work.kind)) return;
  if (work.kind == media::Kind::kRead) {
    work.effect_bytes = std::min<uint64_t>(work.length, shape_.size_bytes - std::min(shape_.size_bytes, work.offset));
  }
  const uint32_t unit = shape_.alignment.offset;
  if (work.effect_bytes > unit && options_.short_one_in != 0 && random_.one_in(options_.short_one_in)) {
    work.effect_bytes = unit * (1 + random_.below((work.effect_bytes - 1) / unit));
    ++counts_.short_transfers;
  }
  work.result = int32_t(work.effect_bytes);
}

/// Aligned as O_DIRECT would have it.
bool Disk::is_acceptable(const Work& work) const {
  if (!moves_data(work.kind)) return true;
  return reinterpret_cast<uintptr_t>(work.operation->data) % shape_.alignment.memory == 0 &&
         work.offset % shape_.alignment.offset == 0 && work.length % shape_.alignment.offset == 0;
}

bool Disk::touches_bad_range(const Work& work) const {
  return std::ranges::any_of(options_.bad_ranges, [&](const ByteRange& bad) {
    return work.offset < bad.offset + bad.length && bad.offset < work.offset + work.length;
  });
}

/// Whether it takes effect at once, and survives a power cut as a whole or not at all.
bool Disk::is_whole(const Work& work) const {
  if (work.length == 0 || work.length > shape_.atomic_bytes || work.kind == media::Kind::kDiscard) return false;
  const uint64_t boundary = shape_.atomic_boundary_bytes;
  return boundary == 0 || work.offset / boundary == (work.offset + work.length - 1) / boundary;
}

Duration Disk::draw_latency() {
  Duration latency = options_.latency_min + Duration{int64_t(random_.below(uint64_t(options_.latency_spread.ns) + 1))};
  if (options_.outlier_one_in != 0 && random_.one_in(options_.outlier_one_in)) {
    latency = latency + Duration{int64_t(random_.below(uint64_t(options_.outlier.ns) + 1))};
  }
  return latency;
}

void Disk::finish_after(Writer number, Duration delay) {
  world_.agenda.after(delay, [this, number] { finish(number); });
}

void Disk::finish(Writer number) {
  const auto found = operations_.find(number);
  if (found == operations_.end()) return;
  Work& work = found->second;
  if (work.state != State::kWorking) return;
  if (is_hanging_) {
    work.state = State::kHeld;
  } else if (work.will_be_lost) {
    if (!work.is_effect_lost && work.result >= 0) take_effect(number, work, kAllBlocks);
    work.state = State::kLost;
    world_.trace.note(world_.agenda.now(), "{}: {} {}+{} is lost", shape_.name, name_of(work.kind), work.offset,
                      work.length);
  } else {
    complete(number, work);
  }
}

void Disk::complete(Writer number, Work& work) {
  const bool makes_stable = work.kind == media::Kind::kSync || work.kind == media::Kind::kWriteStable;
  if (makes_stable && has_failed_sync_ && work.result >= 0) work.result = -EIO;
  if (work.result >= 0) take_effect(number, work, kAllBlocks);
  if (work.drops_unsynced) {
    has_failed_sync_ = true;
    ++counts_.failed_syncs;
  } else if (work.result >= 0 && work.kind == media::Kind::kSync) {
    blocks_.sync(work.coverage);
    ++counts_.syncs;
  } else if (work.result >= 0 && (work.kind == media::Kind::kWriteStable || !shape_.has_volatile_cache)) {
    blocks_.make_stable(work.offset, work.effect_bytes, number);
  }
  work.state = State::kReady;
  world_.trace.note(world_.agenda.now(), "{}: {} {}+{} gives {}", shape_.name, name_of(work.kind), work.offset,
                    work.length, work.result);
  work.client->on_ready(number);
}

void Disk::take_effect(Writer number, Work& work, BlockMask which) {
  which.bits &= work.left.bits;
  work.left.bits &= ~which.bits;
  if (which.bits == 0 || work.effect_bytes == 0) return;
  const Tearing tearing = is_whole(work) ? Tearing::kNever : Tearing::kByBlock;
  switch (work.kind) {
    case media::Kind::kRead:
      return land(work, which);
    case media::Kind::kWrite:
    case media::Kind::kWriteStable:
      if (work.client != nullptr) check_lent(work);
      return blocks_.write(work.offset, std::span{work.lent}.first(work.effect_bytes), which, {number, tearing});
    case media::Kind::kDiscard:
      if (!shape_.discarded_reads_zero) return;
      [[fallthrough]];
    case media::Kind::kZero:
    case media::Kind::kZeroDeallocate:
      return blocks_.zero(work.offset, work.effect_bytes, which, {number, tearing});
    case media::Kind::kSync:
      return;
  }
}

/// The data of a read arrives. Nobody else may have written where it goes.
void Disk::land(Work& work, BlockMask which) {
  if (work.client == nullptr) return;
  check_lent(work);
  blocks_.read(work.offset, std::span{work.lent}.first(work.effect_bytes), which);
  std::memcpy(work.operation->data, work.lent.data(), work.lent.size());
}

void Disk::check_lent(const Work& work) {
  if (work.lent.empty()) return;
  const std::span<const std::byte> now{work.operation->data, work.length};
  if (std::memcmp(now.data(), work.lent.data(), now.size()) == 0) return;
  const auto differing = std::ranges::mismatch(now, work.lent);
  world_.referee.fail("buffer-ownership",
                      fmt::format("{}: byte {} of the memory of {} {}+{} changed while the disk had it", shape_.name,
                                  differing.in1 - now.begin(), name_of(work.kind), work.offset, work.length));
}

Disk::Completion Disk::take(Writer number) {
  auto node = operations_.extract(number);
  if (node.empty()) return {nullptr, 0};
  const Work& work = node.mapped();
  WEFT_ASSERT(work.state == State::kReady);
  check_lent(work);
  ++counts_.completed;
  if (work.result < 0) ++counts_.failed;
  return {work.operation, work.result};
}

void Disk::finish_all(State state) {
  for (auto& [number, work] : operations_) {
    if (work.state != state) continue;
    work.state = State::kWorking;
    work.will_be_lost = false;
    finish_after(number, draw_latency());
  }
}

void Disk::resume() {
  if (!std::exchange(is_hanging_, false)) return;
  finish_all(State::kHeld);
}

uint64_t Disk::open() {
  if (std::exchange(has_failed_sync_, false)) blocks_.drop_unsynced(random_);
  return removals_;
}

void Disk::give_back_lost() { finish_all(State::kLost); }

void Disk::remove() {
  if (std::exchange(is_removed_, true)) return;
  world_.trace.note(world_.agenda.now(), "{}: removed", shape_.name);
  ++removals_;
  is_hanging_ = false;
  for (auto& [number, work] : operations_) {
    if (work.state == State::kSubmitted || work.state == State::kReady) continue;
    work.result = random_.one_in(2) ? -EIO : -ENODEV;
    work.effect_bytes = 0;  // nothing more takes effect
    work.drops_unsynced = false;
    work.will_be_lost = false;
    work.state = State::kWorking;
    finish_after(number, draw_latency());
  }
  blocks_.drop_unsynced(random_);
}

void Disk::heal() {
  options_ = {.latency_min = options_.latency_min,
              .latency_spread = options_.latency_spread,
              .reorders = options_.reorders,
              .is_unsupported = options_.is_unsupported};
  is_removed_ = false;
  for (auto& [number, work] : operations_) work.will_be_lost = false;
  resume();
  give_back_lost();
}

void Disk::process_died() {
  for (auto& [number, work] : operations_) die(number, work);
  world_.trace.note(world_.agenda.now(), "{}: its process died with {} operations", shape_.name, operations_.size());
  operations_.clear();
}

void Disk::abandon(Writer number) {
  auto node = operations_.extract(number);
  if (!node.empty()) die(number, node.mapped());
}

/// Takes effect now, in whole or in part, or never.
void Disk::die(Writer number, Work& work) {
  work.client = nullptr;
  const bool has_begun = work.state != State::kSubmitted && work.state != State::kReady;
  if (!has_begun || work.result < 0 || random_.one_in(3)) return;
  if (work.kind == media::Kind::kSync) {
    if (!has_failed_sync_) blocks_.sync(work.coverage);
  } else {
    take_effect(number, work, is_whole(work) || random_.one_in(2) ? kAllBlocks : BlockMask{random_.next()});
  }
}

void Disk::power_cut() {
  process_died();
  blocks_.drop_unsynced(random_);
  has_failed_sync_ = false;
  ++counts_.power_cuts;
}

size_t Disk::outstanding(const DiskClient& client) const {
  return size_t(std::ranges::count_if(operations_, [&](const auto& entry) { return entry.second.client == &client; }));
}

size_t Disk::lost() const {
  return size_t(
      std::ranges::count_if(operations_, [](const auto& entry) { return entry.second.state == State::kLost; }));
}

}  // namespace weft::sim
