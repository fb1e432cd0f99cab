// Owns one io_uring of the kernel's, opened with the best flags that it knows, and the eventfd by which its completions wake a reactor
// that sleeps. What is submitted and completed is its user's: ring.h.
#pragma once
#include <liburing.h>

#include <memory>
#include <span>

#include "base/error.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {

class KernelRing {
 public:
  struct Options {
    unsigned submissions;     // entries
    unsigned completions;     // entries
    unsigned setup_flags = 0;  // beside those for task work
  };
  /// Errors: kUnsupported or kDenied where io_uring is not to be had, kLimit; the text says which and what to do.
  static Result<std::unique_ptr<KernelRing>> open(const Options& options);
  ~KernelRing();
  KernelRing(const KernelRing&) = delete;
  KernelRing& operator=(const KernelRing&) = delete;

  io_uring* get() { return &ring_; }
  /// Calls `handler` from loop.poll() after completions have come. Once. Errors: the system's.
  Result<void> wake(EventLoop& loop, FdHandler& handler);
  /// Whether completions were put off, or did not fit: io_uring_get_events() brings them in.
  bool must_get_events() const {
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }
  /// Whether the kernel has every one of these operations (IORING_OP_…).
  bool knows(std::span<const int> opcodes);

 private:
  explicit KernelRing(const io_uring& ring) : ring_(ring) {}

  io_uring ring_;
  EventLoop* loop_ = nullptr;  // null: nothing is woken
  FdHandler* handler_ = nullptr;
  UniqueFd completion_event_;
};

}  // namespace weft::platform
