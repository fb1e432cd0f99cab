// For tests of the NVMe driver on a simulated device: one Io after the other on one channel, drawn, judged by the data oracle (volume.h). Not part of
// any library.
#pragma once
#include "base/prng.h"
#include "bdev/bdev.h"
#include "core/reactor.h"
#include "sim/volume.h"

#include <algorithm>
#include <vector>

namespace weft::sim::testing_support {

class NvmeLane {
 public:
  struct Place {
    std::span<std::byte> mapped;    // what the device reaches
    std::span<std::byte> unmapped;  // what it does not
  };
  /// Outlives: everything but `place`'s spans outlives the lane, and so does what they refer to.
  NvmeLane(Reactor& reactor, bdev::Channel& channel, Volume& volume, uint32_t host, const Place& place, Prng random)
      : reactor_(reactor), channel_(channel), volume_(volume), host_(host), place_(place), random_(random) {
    io_.on_done = [](bdev::Io& io, nvme::Status status) { static_cast<NvmeLane*>(io.context)->on_done(status); };
    io_.context = this;
  }

  /// Goes on until so many more commands are done.
  void run(uint64_t commands) {
    left_ += commands;
    if (!is_busy_) next();
  }
  /// Reads everything that was ever written.
  void read_back() {
    is_reading_back_ = true;
    next_lba_ = 0;
    if (!is_busy_) next();
  }
  bool is_idle() const { return !is_busy_; }
  /// When what is outstanding was submitted.
  Instant since() const { return since_; }
  Volume& volume() const { return volume_; }
  uint64_t errors() const { return errors_; }
  /// Its process has died.
  void lost() {
    if (is_submitted_) volume_.lost(access_);
  }

 private:
  static constexpr uint64_t kSpanBlocks = 400;  // few, so that commands meet

  void next() {
    is_busy_ = is_reading_back_ ? draw_read_back() : draw();
    if (is_busy_) reactor_.post([this] { submit(); });
  }

  bool draw_read_back() {
    const auto lba = volume_.next_touched(next_lba_);
    if (!lba) return false;
    next_lba_ = *lba + 1;
    set(AccessKind::kRead, {*lba, 1});
    return true;
  }

  bool draw() {
    if (left_ == 0) return false;
    --left_;
    const uint64_t lot = random_.below(100);
    AccessKind kind = lot < 38   ? AccessKind::kWrite
                      : lot < 60 ? AccessKind::kRead
                      : lot < 67 ? AccessKind::kCompare
                      : lot < 70 ? AccessKind::kVerify
                      : lot < 76 ? AccessKind::kCopy
                      : lot < 86 ? AccessKind::kFlush
                      : lot < 94 ? AccessKind::kWriteZeroes
                                 : AccessKind::kDeallocate;
    if (!channel_.takes(op_of(kind))) kind = AccessKind::kRead;
    set(kind, kind == AccessKind::kFlush ? Blocks{} : draw_blocks());
    if (kind == AccessKind::kCompare) expect_likely();
    if (kind == AccessKind::kCopy) draw_target();
    access_.stability = random_.one_in(5) ? Stability::kStable : Stability::kCached;
    return true;
  }

  Blocks draw_blocks() {
    const uint64_t room = place_.mapped.size() / 2 / volume_.traits().block_size;
    const uint64_t count = 1 + random_.below(random_.one_in(12) ? room - 1 : 12);
    const uint64_t first = random_.below(kSpanBlocks);
    const bool is_at_the_end = random_.one_in(20);
    return {is_at_the_end ? volume_.traits().block_count - count : first, count};
  }

  /// What the blocks hold most likely; now and then one that nobody wrote.
  void expect_likely() {
    const Blocks& blocks = access_.ranges.front();
    access_.expected = volume_.likely(blocks);
    if (!random_.one_in(3)) return;
    const uint64_t index = random_.below(blocks.count);
    access_.expected[index] = {.run = host_, .sequence = kNoCommand, .lba = blocks.first + index};
  }

  /// The range becomes the source of a copy, behind which or before which it goes.
  void draw_target() {
    const Blocks source = access_.ranges.front();
    const uint64_t shift = source.count + random_.below(20);
    const bool is_behind = source.end() + shift <= volume_.traits().block_count;
    if (!is_behind && source.first < shift) return set(AccessKind::kRead, source);
    access_.target = is_behind ? source.first + shift : source.first - shift;
    io_.source = source.first;
    io_.block = access_.target;
  }

  void set(AccessKind kind, Blocks blocks) {
    access_ = {.kind = kind, .host = host_};
    if (kind != AccessKind::kFlush) access_.ranges = {blocks};
    io_.op = op_of(kind);
    io_.block = blocks.first;
    io_.block_count = blocks.count;
    io_.data = {};
    const bool moves_data = kind == AccessKind::kRead || kind == AccessKind::kWrite || kind == AccessKind::kCompare;
    if (moves_data) io_.data = draw_memory(blocks.count * volume_.traits().block_size);
  }

  /// Mostly as pools give it; now and then at an odd address, or where the device does not reach.
  std::span<std::byte> draw_memory(size_t bytes) {
    constexpr uint64_t kOffsets[] = {0, 0, 512, 2048, 4, 1};
    const auto place = random_.one_in(10) ? place_.unmapped : place_.mapped;
    return place.subspan(kOffsets[random_.below(std::size(kOffsets))], bytes);
  }

  static bdev::Op op_of(AccessKind kind) {
    switch (kind) {
      case AccessKind::kWrite:
        return bdev::Op::kWrite;
      case AccessKind::kWriteZeroes:
        return bdev::Op::kWriteZeroes;
      case AccessKind::kDeallocate:
        return bdev::Op::kDeallocate;
      case AccessKind::kFlush:
        return bdev::Op::kFlush;
      case AccessKind::kCompare:
        return bdev::Op::kCompare;
      case AccessKind::kVerify:
        return bdev::Op::kVerify;
      case AccessKind::kCopy:
        return bdev::Op::kCopy;
      default:
        return bdev::Op::kRead;
    }
  }

  void submit() {
    const bool is_stable = access_.stability == Stability::kStable;
    io_.durability = is_stable ? bdev::Durability::kStable : bdev::Durability::kCached;
    io_.zeroing = random_.one_in(2) ? bdev::Zeroing::kMayDeallocate : bdev::Zeroing::kKeepAllocated;
    volume_.begin(access_);
    if (access_.kind == AccessKind::kWrite) volume_.fill(access_, io_.data);
    if (access_.kind == AccessKind::kCompare) volume_.fill(access_.expected, io_.data);
    is_submitted_ = true;
    since_ = reactor_.now();
    channel_.submit(io_);
  }

  void on_done(nvme::Status status) {
    is_submitted_ = false;
    if (!status.ok() && !status.is(nvme::status::kCompareFailure)) ++errors_;
    volume_.completed(access_, status, access_.kind == AccessKind::kRead ? io_.data : std::span<std::byte>{});
    next();
  }

  Reactor& reactor_;
  bdev::Channel& channel_;
  Volume& volume_;
  uint32_t host_;
  Place place_;
  Prng random_;
  Access access_;
  bdev::Io io_;
  Instant since_{};
  uint64_t left_ = 0;
  uint64_t next_lba_ = 0;
  uint64_t errors_ = 0;
  bool is_reading_back_ = false;
  bool is_busy_ = false;
  bool is_submitted_ = false;
};

}  // namespace weft::sim::testing_support
