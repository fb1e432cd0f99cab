// One reactor's way to a medium. An Io becomes a sequence of operations, one outstanding at a time, whose state lies in Io::scratch:
//
//   kRead, kWrite   kTransfer, in pieces when it bounces, comes back short or is longer than the medium takes; [kSync] when the medium has no stable writes
//   kFlush          kSync
//   kWriteZeroes    kZeroing, in pieces; kZeroFilling (writing zeroes) where the medium cannot; [kSync] when it must be stable
//   kDeallocate     kDiscarding, in pieces; as kWriteZeroes where the medium cannot and zeroes were promised
//
// Nothing allocates. Data at an address that the medium cannot take waits, in order, for one of the bounce buffers.
#pragma once
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "base/assert.h"
#include "base/simulation.h"
#include "bdev/bdev.h"
#include "bdev/bounce_buffers.h"
#include "bdev/media_status.h"
#include "bdev/nvme/device_status.h"
#include "core/memory.h"
#include "media/media.h"

namespace weft::bdev {

template <media::Medium M>
class UringChannel final : public Channel, media::OperationOwner {
 public:
  static constexpr size_t kRegionBytes = BounceBuffers::kCount * BounceBuffers::kBytes;
  static constexpr size_t kZeroesBytes = 128 << 10;
  static constexpr uint32_t kZeroPieceBytes = 32 << 20;  // so that a slow range ends soon after somebody stops waiting for it
  static constexpr uint8_t kRetriesMax = 100;            // of EAGAIN and EINTR without progress

  UringChannel(std::unique_ptr<typename M::Queue> queue, media::Alignment alignment, media::Lengths lengths, const Info& info,
               Region bounce_region, Region zeroes)
      : queue_(std::move(queue)),
        alignment_(alignment),
        lengths_(lengths),
        block_size_(info.block_size),
        discarded_reads_zero_(info.deallocated_reads_zero),
        bounce_region_(std::move(bounce_region)),
        bounces_(bounce_region_.bytes()),
        zeroes_(std::move(zeroes)) {
    WEFT_ASSERT(lengths.transfer >= block_size_ && lengths.discard >= block_size_);
  }
  ~UringChannel() override { WEFT_ASSERT(submitted_ == 0); }

  void submit(Io& io) override {
    if (has_vanished_) {
      WEFT_PROBE("uring/medium-has-vanished");
      return io.done(nvme::status::kInternalPathError);
    }
    State& state = *new (io.scratch) State;
    state.operation.owner = this;
    state.operation.offset = io.block * block_size_;
    state.step = first_step(io.op);
    ++submitted_;
    advance(io, state);
  }

 private:
  enum class Step : uint8_t { kTransfer, kZeroing, kZeroFilling, kDiscarding, kSync };
  static constexpr uint8_t kNoBounce = 0xff;

  struct State {
    media::Operation operation;  // .offset is where the Io goes on; everything before it is done
    Step step = Step::kTransfer;
    uint8_t bounce = kNoBounce;  // index
    uint8_t retries = 0;
    bool needs_sync = false;  // something was written that only a kSync makes stable
  };
  static_assert(sizeof(State) <= Io::kScratchSize && alignof(State) <= 16);

  static Step first_step(Op op) {
    switch (op) {
      case Op::kRead:
      case Op::kWrite: return Step::kTransfer;
      case Op::kFlush: return Step::kSync;
      case Op::kWriteZeroes: return Step::kZeroing;
      case Op::kDeallocate: return Step::kDiscarding;
      case Op::kCompare:
      case Op::kVerify:
      case Op::kCopy: break;  // see takes()
    }
    WEFT_ASSERT(false);
    return Step::kSync;
  }
  static State& state_of(Io& io) { return *std::launder(reinterpret_cast<State*>(io.scratch)); }
  /// The Io whose scratch holds the operation: State begins with it, and scratch lies at a fixed place in Io.
  static Io& io_of(media::Operation& operation) {
    return *reinterpret_cast<Io*>(reinterpret_cast<std::byte*>(&operation) - offsetof(Io, scratch));
  }
  uint64_t end_of(const Io& io) const { return (io.block + io.block_count) * block_size_; }

  /// Submits the next operation of `io`, or lets it wait for a bounce buffer, or ends it.
  void advance(Io& io, State& state) {
    if (state.step != Step::kSync && state.operation.offset == end_of(io)) {
      if (!state.needs_sync) return finish(io, nvme::status::kSuccess);
      state.step = Step::kSync;
    }
    switch (state.step) {
      case Step::kTransfer: return start_transfer(io, state);
      case Step::kZeroing: return start_zeroing(io, state);
      case Step::kZeroFilling: return start_zero_filling(io, state);
      case Step::kDiscarding: return start(io, state, media::Kind::kDiscard, std::min(kZeroPieceBytes, lengths_.discard));
      case Step::kSync:
        state.operation.kind = media::Kind::kSync;
        state.operation.length = 0;
        return queue_->submit(state.operation);
    }
  }

  void start(Io& io, State& state, media::Kind kind, uint64_t length_max) {
    state.operation.kind = kind;
    state.operation.length = uint32_t(std::min(length_max, end_of(io) - state.operation.offset));
    queue_->submit(state.operation);
  }

  void start_transfer(Io& io, State& state) {
    std::byte* data = io.data.data() + (state.operation.offset - io.block * block_size_);
    const bool is_stable = io.op == Op::kWrite && io.durability == Durability::kStable;
    if (is_stable && !has_stable_writes_) state.needs_sync = true;
    const auto kind = io.op == Op::kRead                   ? media::Kind::kRead
                      : is_stable && has_stable_writes_    ? media::Kind::kWriteStable
                                                           : media::Kind::kWrite;
    if (reinterpret_cast<uintptr_t>(data) % alignment_.memory == 0) {
      state.operation.data = data;
      start(io, state, kind, lengths_.transfer);
      if (io.op == Op::kWrite && WEFT_PLANTED("written-data-touched")) *data ^= std::byte{1};
      return;
    }
    if (state.bounce == kNoBounce && !take_bounce(io, state)) return;
    const auto buffer = bounces_.buffer(state.bounce);
    const uint64_t length_max = std::min<uint64_t>(buffer.size(), lengths_.transfer);
    const uint64_t length = std::min(length_max, end_of(io) - state.operation.offset);
    if (io.op == Op::kWrite) std::memcpy(buffer.data(), data, length);
    state.operation.data = buffer.data();
    start(io, state, kind, length_max);
  }

  /// False: `io` waits, and finish() of another one goes on with it.
  bool take_bounce(Io& io, State& state) {
    const auto index = bounces_.take();
    if (!index) {
      waiting_for_bounce_.push_back(io);
      return false;
    }
    state.bounce = *index;
    return true;
  }

  void start_zeroing(Io& io, State& state) {
    if (io.durability == Durability::kStable) state.needs_sync = true;
    if (lengths_.zero == 0) {
      state.step = Step::kZeroFilling;
      return start_zero_filling(io, state);
    }
    const bool may_deallocate = io.zeroing == Zeroing::kMayDeallocate && has_zero_deallocate_;
    start(io, state, may_deallocate ? media::Kind::kZeroDeallocate : media::Kind::kZero, std::min(kZeroPieceBytes, lengths_.zero));
  }

  void start_zero_filling(Io& io, State& state) {
    state.operation.data = zeroes_.bytes().data();
    start(io, state, media::Kind::kWrite, std::min<uint64_t>(kZeroesBytes, lengths_.transfer));
  }

  void operation_done(media::Operation& operation, int32_t result) override {
    Io& io = io_of(operation);
    State& state = state_of(io);
    if (result < 0) return on_error(io, state, -result);
    switch (state.step) {
      case Step::kTransfer:
      case Step::kZeroFilling: return on_transferred(io, state, uint32_t(result));
      case Step::kZeroing:
      case Step::kDiscarding:
        state.operation.offset += state.operation.length;
        return advance(io, state);
      case Step::kSync: return finish(io, nvme::status::kSuccess);
    }
  }

  void on_transferred(Io& io, State& state, uint32_t bytes) {
    WEFT_ASSERT(bytes <= state.operation.length);
    bytes -= bytes % alignment_.offset;               // what does not fill a unit is transferred again
    if (bytes == 0) return on_error(io, state, EIO);  // the medium ends before the device does
    if (state.bounce != kNoBounce && io.op == Op::kRead) {
      std::memcpy(io.data.data() + (state.operation.offset - io.block * block_size_), state.operation.data, bytes);
    }
    if (bytes < state.operation.length) WEFT_PROBE("uring/short-transfer");
    state.operation.offset += bytes;
    state.retries = 0;
    advance(io, state);
  }

  void on_error(Io& io, State& state, int error_number) {
    if ((error_number == EAGAIN || error_number == EINTR) && state.retries < kRetriesMax) {
      WEFT_PROBE("uring/tried-again");
      ++state.retries;
      return advance(io, state);
    }
    if (error_number == EOPNOTSUPP || error_number == ENOSYS) return on_unsupported(io, state, error_number);
    if (queue_->has_vanished()) has_vanished_ = true;
    // A write that is stable when it is done does not say which half of it has failed; without room it was the first one. NVMe's FUA has no second half:
    // it is about the write's own blocks.
    const nvme::Status said = state.operation.status;
    io.has_sync_failed = state.operation.kind == media::Kind::kSync ||
                         (state.operation.kind == media::Kind::kWriteStable && error_number != ENOSPC && said.ok());
    if (!said.ok()) return finish(io, status_of_device(said));
    finish(io, status_of_errno(io.op, error_number, has_vanished_ ? MediumState::kVanished : MediumState::kThere));
  }

  /// Goes on in the way that is left, and remembers what the medium cannot do.
  void on_unsupported(Io& io, State& state, int error_number) {
    switch (state.operation.kind) {
      case media::Kind::kWriteStable:
        WEFT_PROBE("uring/no-stable-writes");
        has_stable_writes_ = false;
        return advance(io, state);
      case media::Kind::kZeroDeallocate:
        WEFT_PROBE("uring/no-zeroing-by-deallocation");
        has_zero_deallocate_ = false;
        return advance(io, state);
      case media::Kind::kZero:
        WEFT_PROBE("uring/no-zeroing");
        state.step = Step::kZeroFilling;
        return advance(io, state);
      case media::Kind::kDiscard:
        WEFT_PROBE("uring/no-discard");
        if (!discarded_reads_zero_) return finish(io, nvme::status::kSuccess);  // a hint that was not taken
        state.step = Step::kZeroing;
        return advance(io, state);
      case media::Kind::kRead:
      case media::Kind::kWrite:
      case media::Kind::kSync: return finish(io, status_of_errno(io.op, error_number, MediumState::kThere));
    }
  }

  void finish(Io& io, nvme::Status status) {
    State& state = state_of(io);
    const uint8_t bounce = state.bounce;
    state.~State();
    --submitted_;
    if (bounce != kNoBounce) {
      bounces_.free(bounce);
      if (Io* next = waiting_for_bounce_.pop_front()) advance(*next, state_of(*next));
    }
    io.done(status);
  }

  std::unique_ptr<typename M::Queue> queue_;
  media::Alignment alignment_;
  media::Lengths lengths_;
  uint32_t block_size_;
  bool discarded_reads_zero_;        // what was promised, whatever the medium can do
  bool has_stable_writes_ = true;    // until the medium says otherwise
  bool has_zero_deallocate_ = true;  // likewise
  bool has_vanished_ = false;
  size_t submitted_ = 0;
  Region bounce_region_;
  BounceBuffers bounces_;
  Region zeroes_;
  IntrusiveList<Io, &Io::link> waiting_for_bounce_;
};

}  // namespace weft::bdev
