// What every block medium promises (src/media/media.h), asked of each through its *world*: a medium of kSizeBytes
// zeroes, two reactors with clocks, and what lets time pass. Who adds a medium writes a world and instantiates
// MediaConformance with it. A world that this machine may not have says why: obstacle().
#pragma once
#include "base/prng.h"
#include "bdev/test_support.h"
#include "core/reactor.h"
#include "media/media.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <vector>

namespace weft::conformance {

template <typename W>
concept MediaWorld = media::Medium<typename W::Medium> && requires(W world, size_t index) {
  { world.medium() } -> std::same_as<typename W::Medium&>;
  { world.reactor(index) } -> std::same_as<Reactor&>;  // 0 or 1
  { world.turn() };                                    // each reactor once, and a little time
  { W::kSizeBytes } -> std::convertible_to<uint64_t>;
};

/// An operation with its memory, which remembers how it ended.
class Request final : public media::OperationOwner {
 public:
  Request(media::Kind kind, uint64_t offset, uint32_t length) : memory_(std::max(length, 1u)) {
    operation.owner = this;
    operation.kind = kind;
    operation.offset = offset;
    operation.length = length;
    operation.data = memory_.bytes().data();
  }
  std::span<std::byte> bytes() { return memory_.bytes().first(operation.length); }

  media::Operation operation;
  std::optional<int32_t> result;
  std::function<void()> then;
  const bool* is_submitting = nullptr;

 private:
  void operation_done(media::Operation& done, int32_t value) override {
    EXPECT_EQ(&done, &operation);
    EXPECT_FALSE(result.has_value()) << "an operation ended twice";
    EXPECT_FALSE(is_submitting != nullptr && *is_submitting) << "an owner was called from inside submit()";
    result = value;
    if (then) then();
  }

  bdev::testing_support::AlignedBytes memory_;
};

template <MediaWorld W>
class MediaConformance : public ::testing::Test {
 protected:
  using Queue = typename W::Medium::Queue;

  void SetUp() override {
    if constexpr (requires { W::obstacle(); }) {
      if (const auto obstacle = W::obstacle()) GTEST_SKIP() << *obstacle;
    }
    for (size_t i = 0; i < queues_.size(); ++i) queues_[i] = open(i);
  }
  std::unique_ptr<Queue> open(size_t index) {
    auto queue = world_.medium().open_queue(world_.reactor(index));
    EXPECT_TRUE(queue.has_value()) << queue.error().what();
    return std::move(*queue);
  }
  /// What offsets and lengths are multiples of here.
  uint32_t unit() { return std::max(world_.medium().alignment().offset, 512u); }

  void submit(Request& request, size_t queue = 0) {
    request.is_submitting = &is_submitting_;
    is_submitting_ = true;
    queues_[queue]->submit(request.operation);
    is_submitting_ = false;
  }
  /// Turns until `done`; false after a long time.
  template <std::predicate F>
  bool until(F done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      world_.turn();
    }
    return true;
  }
  int32_t run(Request& request, size_t queue = 0) {
    submit(request, queue);
    EXPECT_TRUE(until([&] { return request.result.has_value(); }));
    return request.result.value_or(-ETIMEDOUT);
  }
  int32_t run(media::Kind kind, uint64_t offset, uint32_t length) {
    Request request{kind, offset, length};
    return run(request);
  }
  /// As run(), but goes on after a short transfer.
  int32_t transfer(media::Kind kind, uint64_t offset, std::span<std::byte> bytes, size_t queue = 0) {
    while (!bytes.empty()) {
      Request request{kind, offset, uint32_t(bytes.size())};
      if (kind != media::Kind::kRead) std::ranges::copy(bytes, request.bytes().begin());
      const int32_t result = run(request, queue);
      if (result <= 0) return result;
      EXPECT_LE(result, int32_t(bytes.size()));
      const uint32_t whole = uint32_t(result) - uint32_t(result) % unit();
      EXPECT_GT(whole, 0u) << "less than a unit";
      if (kind == media::Kind::kRead) std::ranges::copy(request.bytes().first(whole), bytes.begin());
      bytes = bytes.subspan(whole);
      offset += whole;
    }
    return 0;
  }
  void write(uint64_t offset, uint64_t length, char fill, media::Kind kind = media::Kind::kWrite) {
    std::vector<std::byte> bytes(length, std::byte(fill));
    ASSERT_EQ(transfer(kind, offset, bytes), 0);
  }
  void expect(uint64_t offset, uint64_t length, char fill, size_t queue = 0) {
    std::vector<std::byte> bytes(length, std::byte{0x5a});
    ASSERT_EQ(transfer(media::Kind::kRead, offset, bytes, queue), 0);
    EXPECT_TRUE(std::ranges::all_of(bytes, [fill](std::byte byte) { return byte == std::byte(fill); }))
        << "offset " << offset << " length " << length << " expected '" << fill << "'";
  }

  W world_;
  bool is_submitting_ = false;
  std::array<std::unique_ptr<Queue>, 2> queues_;  // of the two reactors
};

TYPED_TEST_SUITE_P(MediaConformance);

using media::Kind;

TYPED_TEST_P(MediaConformance, ANewMediumReadsZeroesFromItsStartToItsEnd) {
  this->expect(0, 1 << 16, '\0');
  this->expect(TypeParam::kSizeBytes - (1 << 16), 1 << 16, '\0');
}

TYPED_TEST_P(MediaConformance, WhatIsWrittenReadsBackAtBothEndsAndInOnePiece) {
  const uint32_t unit = this->unit();
  this->write(0, unit, 'a');
  this->write(unit, 1 << 20, 'b');
  this->write(TypeParam::kSizeBytes - unit, unit, 'c');
  this->expect(0, unit, 'a');
  this->expect(unit, 1 << 20, 'b');
  this->expect(unit + (1 << 20), unit, '\0');
  this->expect(TypeParam::kSizeBytes - unit, unit, 'c');
}

TYPED_TEST_P(MediaConformance, AStableWriteIsAWriteWhereItIsKnown) {
  Request request{Kind::kWriteStable, 0, this->unit()};
  std::ranges::fill(request.bytes(), std::byte{'s'});
  const int32_t result = this->run(request);
  if (result == -EOPNOTSUPP) return this->expect(0, this->unit(), '\0');
  EXPECT_EQ(result, int32_t(this->unit()));
  this->expect(0, this->unit(), 's');
}

TYPED_TEST_P(MediaConformance, EveryKindIsAnsweredOnceAndNeverFromInsideSubmit) {
  for (const Kind kind : {Kind::kRead, Kind::kWrite, Kind::kWriteStable, Kind::kSync, Kind::kZero,
                          Kind::kZeroDeallocate, Kind::kDiscard}) {
    const bool moves_data = kind == Kind::kRead || kind == Kind::kWrite || kind == Kind::kWriteStable;
    const bool is_optional = kind != Kind::kRead && kind != Kind::kWrite && kind != Kind::kSync;
    const int32_t result = this->run(kind, 0, kind == Kind::kSync ? 0 : this->unit());
    if (is_optional && result == -EOPNOTSUPP) continue;
    EXPECT_EQ(result, moves_data ? int32_t(this->unit()) : 0) << "kind " << int(kind);
  }
  for (int i = 0; i < 20; ++i) this->world_.turn();  // a second answer would fail in Request
}

TYPED_TEST_P(MediaConformance, ZeroingZeroesItsRangeAndNothingElseOrSaysThatItCannot) {
  for (const Kind kind : {Kind::kZero, Kind::kZeroDeallocate}) {
    const uint32_t unit = this->unit();
    this->write(0, 32 * unit, 'x');
    const int32_t result = this->run(kind, 3 * unit, 20 * unit);
    EXPECT_TRUE(result == 0 || result == -EOPNOTSUPP) << result;
    this->expect(0, 3 * unit, 'x');
    this->expect(3 * unit, 20 * unit, result == 0 ? '\0' : 'x');
    this->expect(23 * unit, 9 * unit, 'x');
  }
}

TYPED_TEST_P(MediaConformance, ALargeRangeIsZeroedAtOnce) {
  this->write(0, this->unit(), 'x');
  this->write(20 << 20, this->unit(), 'y');
  if (const int32_t result = this->run(Kind::kZero, 0, 32 << 20); result != 0) {
    EXPECT_EQ(result, -EOPNOTSUPP);
    return;
  }
  this->expect(0, this->unit(), '\0');
  this->expect(20 << 20, this->unit(), '\0');
}

TYPED_TEST_P(MediaConformance, ADiscardChangesNothingOutsideItsRange) {
  const uint32_t unit = this->unit();
  this->write(0, 32 * unit, 'x');
  const int32_t result = this->run(Kind::kDiscard, 8 * unit, 16 * unit);
  EXPECT_TRUE(result == 0 || result == -EOPNOTSUPP) << result;
  this->expect(0, 8 * unit, 'x');
  this->expect(24 * unit, 8 * unit, 'x');
}

TYPED_TEST_P(MediaConformance, AnyNumberMayBeOutstanding) {
  constexpr size_t kCount = 6000;  // more than a ring's completions
  const uint32_t unit = this->unit();
  std::vector<std::unique_ptr<Request>> requests;
  for (size_t i = 0; i < kCount; ++i) {
    requests.push_back(std::make_unique<Request>(Kind::kWrite, i * unit, unit));
    std::ranges::fill(requests.back()->bytes(), std::byte(i % 251 + 1));
    this->submit(*requests.back(), i % 2);
  }
  ASSERT_TRUE(
      this->until([&] { return std::ranges::all_of(requests, [](auto& one) { return one->result.has_value(); }); }));
  for (const auto& one : requests) EXPECT_EQ(one->result, int32_t(unit));
  for (size_t i = 0; i < kCount; i += 499) this->expect(i * unit, unit, char(i % 251 + 1));
}

TYPED_TEST_P(MediaConformance, AnOwnerMaySubmitAgainFromItsCompletion) {
  const uint32_t unit = this->unit();
  Request request{Kind::kWrite, 0, unit};
  int left = 300;
  request.then = [&] {
    if (--left == 0) return;
    request.result.reset();
    request.operation.offset += unit;
    this->submit(request);
  };
  this->submit(request);
  EXPECT_TRUE(this->until([&] { return left == 0; }));
  EXPECT_EQ(request.operation.offset, 299u * unit);
}

TYPED_TEST_P(MediaConformance, WhatOneQueueHasWrittenAnotherReads) {
  this->write(0, this->unit(), 'q');
  this->expect(0, this->unit(), 'q', 1);
}

TYPED_TEST_P(MediaConformance, AQueueMayGoWhenNothingIsOutstandingAndAnotherTakeItsPlace) {
  this->write(0, this->unit(), 'q');
  this->queues_[0].reset();
  this->expect(0, this->unit(), 'q', 1);
  this->queues_[0] = this->open(0);
  this->expect(0, this->unit(), 'q', 0);
}

TYPED_TEST_P(MediaConformance, AMediumThatIsThereHasNotVanished) { EXPECT_FALSE(this->queues_[0]->has_vanished()); }

TYPED_TEST_P(MediaConformance, ACompletionEndsTheSleepOfItsReactor) {
  Reactor& reactor = this->world_.reactor(0);
  for (int i = 0; i < 20; ++i) {
    Request request{Kind::kWrite, 0, this->unit()};
    this->submit(request);
    while (!request.result.has_value()) {
      if (reactor.run_once() == Reactor::Turn::kWorked || !reactor.fall_asleep().has_value()) continue;
      const Instant deadline = reactor.clock().now() + seconds(20);
      reactor.clock().wait(deadline);
      reactor.wake_up();
      ASSERT_LT(reactor.clock().now(), deadline) << "nothing woke it";
    }
  }
}

TYPED_TEST_P(MediaConformance, RandomOperationsAgreeWithAModel) {
  constexpr uint64_t kSeed = 5;
  constexpr uint64_t kUnits = 256;
  const uint32_t unit = this->unit();
  Prng random{kSeed};
  std::vector<std::byte> model(kUnits * unit);
  for (int step = 0; step < 300; ++step) {
    const uint64_t first = random.below(kUnits);
    const uint64_t count = 1 + random.below(std::min<uint64_t>(40, kUnits - first));
    const auto part = std::span{model}.subspan(first * unit, count * unit);
    std::vector<std::byte> bytes(part.size(), std::byte(1 + random.below(255)));
    switch (random.below(5)) {
      case 0:
      case 1:
        ASSERT_EQ(this->transfer(Kind::kRead, first * unit, bytes), 0);
        ASSERT_TRUE(std::ranges::equal(bytes, part)) << "seed " << kSeed << " step " << step;
        break;
      case 2:
        if (this->run(random.one_in(2) ? Kind::kZero : Kind::kZeroDeallocate, first * unit, uint32_t(part.size())) ==
            0) {
          std::ranges::fill(part, std::byte{0});
        }
        break;
      default:
        ASSERT_EQ(this->transfer(Kind::kWrite, first * unit, bytes), 0);
        std::ranges::copy(bytes, part.begin());
        break;
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(MediaConformance, ANewMediumReadsZeroesFromItsStartToItsEnd,
                            WhatIsWrittenReadsBackAtBothEndsAndInOnePiece, AStableWriteIsAWriteWhereItIsKnown,
                            EveryKindIsAnsweredOnceAndNeverFromInsideSubmit,
                            ZeroingZeroesItsRangeAndNothingElseOrSaysThatItCannot, ALargeRangeIsZeroedAtOnce,
                            ADiscardChangesNothingOutsideItsRange, AnyNumberMayBeOutstanding,
                            AnOwnerMaySubmitAgainFromItsCompletion, WhatOneQueueHasWrittenAnotherReads,
                            AQueueMayGoWhenNothingIsOutstandingAndAnotherTakeItsPlace, AMediumThatIsThereHasNotVanished,
                            ACompletionEndsTheSleepOfItsReactor, RandomOperationsAgreeWithAModel);

}  // namespace weft::conformance
