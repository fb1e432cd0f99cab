// The block-media seam: something with bytes at offsets (a file, a disk) as the reactor sees it. A Medium is opened once; each reactor that
// uses it opens a Queue, which takes operations and calls their owner back from the reactor's loop. Real sides: platform/linux/uring_media.h
// (io_uring) and platform/linux/thread_media.h; the tests' one: media/memory_medium.h.
//
// What every Queue keeps:
//  - submit() never calls the owner; each operation's owner is called exactly once, on the queue's reactor, from poll() or a message.
//  - The operation and its memory are the queue's until then. Any number may be outstanding; operations are not ordered among each other.
//  - Operations of one cycle reach the kernel together, when the reactor flushes. Nothing blocks the reactor, however slow the medium is.
//  - A read or write may transfer less than asked (the result says how much); the other kinds are done wholly or not.
//  - Where the medium can cancel nothing, it cancels nothing: who wants a bound on the time keeps the pieces small.
//  - The queue dies on its reactor, with nothing outstanding, before its medium.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/error.h"
#include "base/intrusive_list.h"
#include "wire/nvme/status.h"

namespace weft {
class Reactor;
}

namespace weft::media {

enum class Kind : uint8_t {
  kRead,
  kWrite,
  kWriteStable,     // a write that is on stable media when it is done
  kSync,            // everything written before, by any queue of the medium, is on stable media; offset and length mean nothing
  kZero,            // the range reads as zeroes; its space stays allocated
  kZeroDeallocate,  // the range reads as zeroes; its space may be given back
  kDiscard,         // a hint: the range is not needed; what it reads as is the medium's affair
};

struct Operation;

/// Who submitted an operation.
class OperationOwner {
 public:
  /// result: bytes transferred (kRead, kWrite, kWriteStable), 0 (the others) or a negative errno. The operation is the owner's again.
  virtual void operation_done(Operation& operation, int32_t result) = 0;

 protected:
  ~OperationOwner() = default;
};

/// One request, embedded in who submits it.
struct Operation {
  Link link;  // the queue's while submitted
  OperationOwner* owner = nullptr;
  std::byte* data = nullptr;  // kRead, kWrite, kWriteStable: `length` bytes, at the medium's alignment
  uint64_t offset = 0;        // bytes
  uint32_t length = 0;        // bytes, > 0 but for kSync
  int32_t result = 0;         // the queue's
  int32_t handle = 0;         // the queue's
  Kind kind = Kind::kRead;
  nvme::Status status{};      // the queue's: with a negative result what a medium that speaks NVMe has said of it; else, and elsewhere, success
};

/// What reads and writes must be multiples of, in bytes; 1 where anything goes.
struct Alignment {
  uint32_t memory = 1;  // addresses
  uint32_t offset = 1;  // offsets and lengths
};

/// How long an operation may be, in bytes; multiples of the medium's offset alignment.
struct Lengths {
  uint32_t transfer = 1u << 30;  // kRead, kWrite, kWriteStable; below the kernel's limit of 2 GiB
  uint32_t zero = 1u << 30;      // kZero, kZeroDeallocate; 0: it has neither
  uint32_t discard = 1u << 30;   // kDiscard
};

template <typename Q>
concept Queue = requires(Q queue, Operation& operation) {
  { queue.submit(operation) } -> std::same_as<void>;
  { queue.has_vanished() } -> std::same_as<bool>;  // the medium was taken away; asked after an error, never blocks
};

template <typename M>
concept Medium = Queue<typename M::Queue> && requires(M medium, Reactor& reactor) {
  { medium.alignment() } -> std::same_as<Alignment>;
  // A queue of `reactor`, on which the caller runs. Errors: kLimit.
  { medium.open_queue(reactor) } -> std::same_as<Result<std::unique_ptr<typename M::Queue>>>;
};

/// A medium that can say how large it is now: files and disks grow and shrink under us.
template <typename M>
concept SizedMedium = Medium<M> && requires(M medium) {
  { medium.size_bytes() } -> std::same_as<Result<uint64_t>>;  // on any thread, without waiting for operations
};

/// One with limits of its own; others take what Lengths says by itself.
template <typename M>
concept LimitedMedium = Medium<M> && requires(M medium) {
  { medium.lengths() } -> std::same_as<Lengths>;
};

template <Medium M>
Lengths lengths_of(M& medium) {
  if constexpr (LimitedMedium<M>) {
    return medium.lengths();
  } else {
    return {};
  }
}

}  // namespace weft::media
