// The oracle's rules, each with a history that keeps it and one that breaks it.
#include "sim/volume.h"

#include <gtest/gtest.h>

#include <deque>

namespace weft::sim {
namespace {

namespace status = nvme::status;

constexpr uint32_t kBlockSize = 512;
constexpr VolumeTraits kCached{.block_count = 64, .has_volatile_cache = true};
constexpr VolumeTraits kUncached{.block_count = 64};
constexpr VolumeTraits kRam{.block_count = 64, .survives_the_process = false};

/// What one test does to a volume, and what the volume says to it.
class History {
 public:
  explicit History(const VolumeTraits& traits = kCached) : volume(traits, referee_) {}

  Access& begin(AccessKind kind, Blocks blocks, uint32_t host = 1, Stability stability = Stability::kCached) {
    Access access{.kind = kind, .host = host, .stability = stability};
    if (kind != AccessKind::kFlush) access.ranges = {blocks};
    return begin(std::move(access));
  }
  Access& begin(Access access) {
    accesses_.push_back(std::move(access));
    volume.begin(accesses_.back());
    return accesses_.back();
  }
  Access& begin_write(uint64_t lba, uint32_t host = 1) { return begin(AccessKind::kWrite, {lba, 1}, host); }
  Access& begin_read(uint64_t lba) { return begin(AccessKind::kRead, {lba, 1}, 2); }
  Access& begin_flush() { return begin(AccessKind::kFlush, {}); }
  Access& begin_pair(uint64_t lba, const Value& expected, uint32_t host = 1) {
    return begin({.kind = AccessKind::kFused, .host = host, .ranges = {{lba, 1}}, .expected = {expected}});
  }

  void succeed(Access& access) { volume.completed(access, status::kSuccess, {}); }
  void fail(Access& access, nvme::Status why) { volume.completed(access, why, {}); }
  void pair(Access& access, nvme::Status first, nvme::Status second) { volume.pair_completed(access, first, second); }
  void returns(Access& read, const Value& value) {
    std::vector<std::byte> data(kBlockSize);
    volume.fill(std::span(&value, 1), data);
    volume.completed(read, status::kSuccess, data);
  }

  /// From begin to end with nothing between.
  Value write(uint64_t lba, uint32_t host = 1) {
    Access& access = begin_write(lba, host);
    succeed(access);
    return of(access);
  }
  void read(uint64_t lba, const Value& value) { returns(begin_read(lba), value); }
  void flush() { succeed(begin_flush()); }
  static Value of(const Access& access) { return Volume::written(access, 0); }

  std::string found() const { return referee_.finding() ? referee_.finding()->checker : ""; }
  std::string what() const { return referee_.finding() ? referee_.finding()->what : ""; }

  Referee referee_;
  Volume volume;

 private:
  std::deque<Access> accesses_;
};

#define EXPECT_FINE(history) EXPECT_EQ((history).found(), "") << (history).what()
#define EXPECT_FOUND(history, checker) EXPECT_EQ((history).found(), checker) << (history).what()

// --- reads and writes ---------------------------------------------------------------------------------------------------

TEST(VolumeRead, ReturnsTheLastCompletedWrite) {
  History legal;
  legal.read(3, kZeroes);
  legal.write(3);
  legal.read(3, legal.write(3));
  EXPECT_FINE(legal);

  History stale;
  const Value old = stale.write(3);
  stale.write(3);
  stale.read(3, old);
  EXPECT_FOUND(stale, "oracle");

  History lost;
  lost.write(3);
  lost.read(3, kZeroes);
  EXPECT_FOUND(lost, "oracle");
}

TEST(VolumeRead, ReturnsAWriteThatOverlapsIt) {
  for (const bool is_new : {false, true}) {
    History legal;
    const Value old = legal.write(3);
    Access& read = legal.begin_read(3);
    Access& write = legal.begin_write(3);
    legal.succeed(write);
    legal.returns(read, is_new ? History::of(write) : old);
    EXPECT_FINE(legal);
  }
  History before;
  Access& early = before.begin_read(3);
  const Value never{.run = 1, .sequence = 99, .lba = 3};
  before.returns(early, never);
  EXPECT_FOUND(before, "oracle");
}

TEST(VolumeRead, DoesNotGoBackBehindWhatAReadHasShown) {
  History legal;
  const Value old = legal.write(3);
  Access& write = legal.begin_write(3);
  legal.read(3, old);
  legal.read(3, History::of(write));
  legal.read(3, History::of(write));
  legal.succeed(write);
  EXPECT_FINE(legal);

  History back;
  const Value older = back.write(3);
  Access& newer = back.begin_write(3);
  back.read(3, History::of(newer));
  back.read(3, older);  // although the write has not completed
  EXPECT_FOUND(back, "oracle");
}

TEST(VolumeRead, MayOverlapTheReadThatHasShownMore) {
  History legal;
  const Value old = legal.write(3);
  Access& slow = legal.begin_read(3);
  Access& write = legal.begin_write(3);
  legal.read(3, History::of(write));
  legal.returns(slow, old);
  EXPECT_FINE(legal);
}

TEST(VolumeRead, AgreesOnTheOrderOfConcurrentWrites) {
  for (const bool is_first : {false, true}) {
    History legal;
    Access& a = legal.begin_write(3, 1);
    Access& b = legal.begin_write(3, 2);
    legal.succeed(a);
    legal.succeed(b);
    legal.read(3, History::of(is_first ? a : b));
    legal.read(3, History::of(is_first ? a : b));
    EXPECT_FINE(legal);
    legal.read(3, History::of(is_first ? b : a));
    EXPECT_FOUND(legal, "oracle");
  }
}

TEST(VolumeRead, ReturnsBlocksOfTheirOwnAddressAndWhole) {
  History misplaced;
  Access& write = misplaced.begin(AccessKind::kWrite, {3, 2});
  misplaced.succeed(write);
  misplaced.read(3, Volume::written(write, 1));
  EXPECT_FOUND(misplaced, "oracle");

  History torn;
  Access& read = torn.begin_read(3);
  std::vector<std::byte> data(kBlockSize);
  const Value value = torn.write(3);
  torn.volume.fill(std::span(&value, 1), data);
  data.back() ^= std::byte{1};
  torn.volume.completed(read, status::kSuccess, data);
  EXPECT_FOUND(torn, "oracle");
}

// --- what is lost, late, failed -----------------------------------------------------------------------------------------

TEST(VolumeLost, MayTakeEffectAtAnyTimeOrNever) {
  History legal;
  const Value old = legal.write(3);
  Access& lost = legal.begin_write(3);
  legal.volume.lost(lost);
  legal.read(3, old);
  legal.read(3, History::of(lost));
  EXPECT_FINE(legal);
  legal.read(3, old);
  EXPECT_FOUND(legal, "oracle");
}

TEST(VolumeLost, DoesNotComeOverWhatIsWrittenAfterTheNextAssociation) {
  History unbounded;  // the old connection may still deliver it
  Access& late = unbounded.begin_write(3, 1);
  unbounded.volume.lost(late);
  unbounded.write(3, 2);
  unbounded.read(3, History::of(late));
  EXPECT_FINE(unbounded);

  History bounded;
  Access& lost = bounded.begin_write(3, 1);
  bounded.volume.lost(lost);
  bounded.volume.associated(1);
  bounded.write(3, 2);
  bounded.read(3, History::of(lost));
  EXPECT_FOUND(bounded, "oracle");
}

TEST(VolumeLate, DoesNotComeOverWhatIsWrittenAfterItsTimeout) {
  History legal;
  legal.volume.expect(ErrorKind::kTimeout);
  Access& late = legal.begin_write(3);
  legal.fail(late, status::kInternalPathError);
  legal.read(3, kZeroes);
  legal.read(3, History::of(late));
  EXPECT_FINE(legal);

  History over;
  over.volume.expect(ErrorKind::kTimeout);
  Access& later = over.begin_write(3);
  over.fail(later, status::kInternalPathError);
  over.write(3);
  over.read(3, History::of(later));
  EXPECT_FOUND(over, "oracle");
}

TEST(VolumeFailed, MayHaveTakenEffectUntilItsEndOnAnyBlock) {
  History legal;
  legal.volume.expect(ErrorKind::kMediaError);
  Access& failed = legal.begin(AccessKind::kWrite, {3, 2});
  legal.fail(failed, status::kWriteFault);
  legal.read(3, Volume::written(failed, 0));
  legal.read(4, kZeroes);
  EXPECT_FINE(legal);
  legal.read(3, kZeroes);
  EXPECT_FOUND(legal, "oracle");
}

TEST(VolumeFailed, DoesNotTakeEffectAfterItsEnd) {
  History history;
  history.volume.expect(ErrorKind::kMediaError);
  Access& failed = history.begin_write(3);
  history.fail(failed, status::kWriteFault);
  history.write(3);
  history.read(3, History::of(failed));
  EXPECT_FOUND(history, "oracle");
}

TEST(VolumeFailed, NeedsAFaultThatExplainsIt) {
  History unexplained;
  unexplained.fail(unexplained.begin_read(3), status::kUnrecoveredReadError);
  EXPECT_FOUND(unexplained, "oracle");

  History window;
  window.volume.expect(ErrorKind::kMediaError);
  Access& overlapping = window.begin_read(3);
  window.volume.expect_no_more(ErrorKind::kMediaError);
  Access& after = window.begin_read(3);
  window.fail(overlapping, status::kUnrecoveredReadError);
  EXPECT_FINE(window);
  window.fail(after, status::kUnrecoveredReadError);
  EXPECT_FOUND(window, "oracle");
}

TEST(VolumeFailed, AbortedCommandsWereAskedForAndHaveDoneNothing) {
  History legal;
  Access& aborted = legal.begin_write(3);
  aborted.may_be_aborted = true;
  legal.fail(aborted, status::kAbortRequested);
  legal.read(3, kZeroes);
  EXPECT_FINE(legal);
  legal.read(3, History::of(aborted));
  EXPECT_FOUND(legal, "oracle");

  History unasked;
  unasked.fail(unasked.begin_write(3), status::kAbortRequested);
  EXPECT_FOUND(unasked, "oracle");

  History shown;
  Access& write = shown.begin_write(3);
  write.may_be_aborted = true;
  shown.read(3, History::of(write));
  shown.fail(write, status::kAbortRequested);
  EXPECT_FOUND(shown, "oracle");
}

TEST(VolumeSize, CommandsBeyondTheEndFailAndOthersDoNot) {
  History beyond;
  beyond.succeed(beyond.begin(AccessKind::kVerify, {60, 8}));
  EXPECT_FOUND(beyond, "oracle");

  History within;
  within.fail(within.begin(AccessKind::kVerify, {60, 4}), status::kLbaOutOfRange);
  EXPECT_FOUND(within, "oracle");

  History changing;
  changing.volume.start_resize(32);
  changing.succeed(changing.begin(AccessKind::kVerify, {60, 4}));
  changing.fail(changing.begin(AccessKind::kVerify, {60, 4}), status::kLbaOutOfRange);
  changing.volume.finish_resize();
  EXPECT_FINE(changing);
  changing.succeed(changing.begin(AccessKind::kVerify, {60, 4}));
  EXPECT_FOUND(changing, "oracle");
}

TEST(VolumeSize, WhatWasBeyondTheEndIsThereAgain) {
  for (const bool is_wiped : {false, true}) {
    History history;
    const Value value = history.write(60);
    for (const uint64_t blocks : {32, 64}) {
      history.volume.start_resize(blocks);
      history.volume.finish_resize();
    }
    history.read(60, is_wiped ? kZeroes : value);
    if (is_wiped) {
      EXPECT_FOUND(history, "oracle");
    } else {
      EXPECT_FINE(history);
    }
  }
}

// --- crashes ------------------------------------------------------------------------------------------------------------

TEST(VolumePowerCut, MayTakeWhatWasNotFlushed) {
  for (const bool is_lost : {false, true}) {
    History legal;
    const Value value = legal.write(3);
    legal.volume.power_cut();
    legal.read(3, is_lost ? kZeroes : value);
    legal.read(3, is_lost ? kZeroes : value);
    EXPECT_FINE(legal);
    legal.read(3, is_lost ? value : kZeroes);  // once read, it is fixed
    EXPECT_FOUND(legal, "durability");
  }
}

TEST(VolumePowerCut, LeavesAnyVersionSinceTheFlushAndNoOlderOne) {
  for (int which = 0; which < 4; ++which) {
    History history;
    std::vector<Value> values{history.write(3)};
    values.push_back(history.write(3));
    history.flush();
    values.push_back(history.write(3));
    values.push_back(history.write(3));
    history.volume.power_cut();
    history.read(3, values[size_t(which)]);
    EXPECT_EQ(history.found(), which == 0 ? "durability" : "") << history.what();
  }
}

TEST(VolumePowerCut, AFlushCoversWhatCompletedBeforeItWasSubmitted) {
  History uncovered;
  Access& write = uncovered.begin_write(3);
  Access& flush = uncovered.begin_flush();
  uncovered.succeed(write);
  uncovered.succeed(flush);
  uncovered.volume.power_cut();
  uncovered.read(3, kZeroes);
  EXPECT_FINE(uncovered);

  History covered;
  covered.write(3);
  covered.flush();
  covered.volume.power_cut();
  covered.read(3, kZeroes);
  EXPECT_FOUND(covered, "durability");

  History failed;
  failed.volume.expect(ErrorKind::kFlushFailed);
  failed.write(3);
  failed.fail(failed.begin_flush(), status::kInternalError);
  failed.volume.power_cut();
  failed.read(3, kZeroes);
  EXPECT_FINE(failed);
}

TEST(VolumePowerCut, KeepsStableWritesAndWhatAnUncachedVolumeHas) {
  History forced;
  forced.succeed(forced.begin(AccessKind::kWrite, {3, 1}, 1, Stability::kStable));
  forced.volume.power_cut();
  forced.read(3, kZeroes);
  EXPECT_FOUND(forced, "durability");

  History uncached{kUncached};
  uncached.write(3);
  uncached.volume.power_cut();
  uncached.read(3, kZeroes);
  EXPECT_FOUND(uncached, "durability");

  History unanswered;
  unanswered.begin(AccessKind::kWrite, {3, 1}, 1, Stability::kStable);
  unanswered.volume.power_cut();
  unanswered.read(3, kZeroes);
  EXPECT_FINE(unanswered);
}

TEST(VolumePowerCut, EndsWhatWasOutstanding) {
  History history;
  Access& write = history.begin_write(3);
  history.volume.power_cut();
  history.read(3, kZeroes);
  history.volume.lost(write);
  history.read(3, kZeroes);
  EXPECT_FINE(history);
  history.read(3, History::of(write));
  EXPECT_FOUND(history, "durability");
}

TEST(VolumePowerCut, ASecondOneLeavesWhatTheFirstLeft) {
  History history;
  const Value value = history.write(3);
  history.volume.power_cut();
  history.read(3, value);
  history.volume.power_cut();
  history.read(3, value);
  EXPECT_FINE(history);
  history.volume.power_cut();
  history.read(3, kZeroes);
  EXPECT_FOUND(history, "durability");
}

TEST(VolumeProcessCrash, KeepsTheCacheOfAFileAndNothingOfARamDisk) {
  History file;
  const Value kept = file.write(3);
  file.volume.process_crashed();
  file.read(3, kept);
  EXPECT_FINE(file);
  file.read(3, kZeroes);
  EXPECT_FOUND(file, "oracle");

  History ram{kRam};
  const Value gone = ram.write(3);
  ram.volume.process_crashed();
  ram.read(3, kZeroes);
  EXPECT_FINE(ram);
  ram.read(3, gone);
  EXPECT_FOUND(ram, "oracle");
}

// --- fused pairs --------------------------------------------------------------------------------------------------------

TEST(VolumeFused, OnePairReplacesOneVersion) {
  History chain;
  Access& first = chain.begin_pair(3, kZeroes, 1);
  Access& second = chain.begin_pair(3, History::of(first), 2);
  chain.pair(first, status::kSuccess, status::kSuccess);
  chain.pair(second, status::kSuccess, status::kSuccess);
  chain.read(3, History::of(second));
  EXPECT_FINE(chain);

  History lost_update;
  Access& a = lost_update.begin_pair(3, kZeroes, 1);
  Access& b = lost_update.begin_pair(3, kZeroes, 2);
  lost_update.pair(a, status::kSuccess, status::kSuccess);
  lost_update.pair(b, status::kSuccess, status::kSuccess);
  EXPECT_FOUND(lost_update, "fused");
}

TEST(VolumeFused, NothingComesBetweenTheHalves) {
  History after;
  Access& pair = after.begin_pair(3, kZeroes);
  Access& write = after.begin_write(3, 2);
  after.pair(pair, status::kSuccess, status::kSuccess);
  after.succeed(write);
  after.read(3, History::of(write));
  EXPECT_FINE(after);

  History between;
  Access& torn = between.begin_pair(3, kZeroes);
  Access& middle = between.begin_write(3, 2);
  between.pair(torn, status::kSuccess, status::kSuccess);
  between.succeed(middle);
  between.read(3, History::of(torn));
  EXPECT_NE(between.found(), "") << "the write came after the compare, and is not there";
}

TEST(VolumeFused, UnansweredPairsTookEffectOnTopOfWhatTheyExpected) {
  History legal;
  Access& lost = legal.begin_pair(3, kZeroes, 1);
  legal.volume.lost(lost);
  legal.read(3, History::of(lost));
  EXPECT_FINE(legal);

  History twice;
  Access& a = twice.begin_pair(3, kZeroes, 1);
  twice.volume.lost(a);
  Access& b = twice.begin_pair(3, kZeroes, 2);
  twice.pair(b, status::kSuccess, status::kSuccess);
  twice.read(3, History::of(a));
  EXPECT_NE(twice.found(), "");

  History zeroes_again;
  Access& late = zeroes_again.begin_pair(3, kZeroes, 1);
  zeroes_again.volume.lost(late);
  zeroes_again.write(3, 2);
  zeroes_again.succeed(zeroes_again.begin(AccessKind::kWriteZeroes, {3, 1}, 2));
  zeroes_again.read(3, History::of(late));
  EXPECT_FINE(zeroes_again);
}

TEST(VolumeFused, HalvesAgree) {
  History different;
  different.write(3);
  different.pair(different.begin_pair(3, kZeroes), status::kCompareFailure, status::kAbortedFailedFused);
  EXPECT_FINE(different);

  History equal;
  equal.pair(equal.begin_pair(3, kZeroes), status::kCompareFailure, status::kAbortedFailedFused);
  EXPECT_FOUND(equal, "fused");

  History written;
  written.write(3);
  written.pair(written.begin_pair(3, kZeroes), status::kCompareFailure, status::kSuccess);
  EXPECT_FOUND(written, "fused");

  History silent;
  silent.pair(silent.begin_pair(3, kZeroes), status::kSuccess, status::kAbortedFailedFused);
  EXPECT_FOUND(silent, "fused");

  History short_of_buffers;
  short_of_buffers.pair(short_of_buffers.begin_pair(3, kZeroes), status::kAbortedFailedFused, status::kInternalError);
  EXPECT_FINE(short_of_buffers);
}

// --- other commands -----------------------------------------------------------------------------------------------------

TEST(VolumeZeroes, AreReadWhereTheyArePromised) {
  struct Row {
    AccessKind kind;
    Deallocated deallocated;
    bool may_keep, may_zero;
  };
  const Row rows[] = {{AccessKind::kWriteZeroes, Deallocated::kKept, false, true},
                      {AccessKind::kDeallocate, Deallocated::kKept, true, false},
                      {AccessKind::kDeallocate, Deallocated::kKeptOrZeroed, true, true},
                      {AccessKind::kDeallocate, Deallocated::kZeroed, false, true}};
  for (const Row& row : rows) {
    for (const bool is_zero : {false, true}) {
      VolumeTraits traits = kCached;
      traits.deallocated = row.deallocated;
      History history{traits};
      const Value old = history.write(3);
      history.succeed(history.begin(row.kind, {3, 1}));
      history.read(3, is_zero ? kZeroes : old);
      EXPECT_EQ(history.found() == "", is_zero ? row.may_zero : row.may_keep) << int(row.kind) << " " << int(row.deallocated);
    }
  }
}

TEST(VolumeCompare, SaysWhatTheBlocksHold) {
  const auto compare = [](History& history, const Value& expected, nvme::Status status) {
    Access& access = history.begin({.kind = AccessKind::kCompare, .host = 1, .ranges = {{3, 1}}, .expected = {expected}});
    status.ok() ? history.succeed(access) : history.fail(access, status);
  };
  History legal;
  const Value value = legal.write(3);
  compare(legal, value, status::kSuccess);
  compare(legal, kZeroes, status::kCompareFailure);
  EXPECT_FINE(legal);

  History equal;
  compare(equal, equal.write(3), status::kCompareFailure);
  EXPECT_FOUND(equal, "oracle");

  History different;
  different.write(3);
  compare(different, kZeroes, status::kSuccess);
  EXPECT_FOUND(different, "oracle");
}

TEST(VolumeCopy, BringsWhatTheSourceHeldMeanwhile) {
  const auto begin_copy = [](History& history) -> Access& {
    return history.begin({.kind = AccessKind::kCopy, .host = 1, .ranges = {{3, 1}, {5, 1}}, .target = 8});
  };
  for (const bool is_new : {false, true}) {
    History legal;
    const Value old = legal.write(3);
    const Value other = legal.write(5);
    Access& copy = begin_copy(legal);
    const Value newer = legal.write(3);
    legal.succeed(copy);
    legal.read(8, is_new ? newer : old);
    legal.read(9, other);
    EXPECT_FINE(legal);
    legal.read(8, is_new ? old : newer);
    EXPECT_FOUND(legal, "oracle");
  }
  History stale;
  const Value old = stale.write(3);
  stale.write(3);
  stale.succeed(begin_copy(stale));
  stale.read(8, old);
  EXPECT_FOUND(stale, "oracle");

  History early;
  const Value never{.run = 1, .sequence = 77, .lba = 3};
  Access& copy = begin_copy(early);
  early.read(8, never);
  EXPECT_FINE(early);  // it is not known yet what the copy brings
  early.succeed(copy);
  EXPECT_FOUND(early, "oracle");
}

}  // namespace
}  // namespace weft::sim
