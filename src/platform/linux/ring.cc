#include "platform/linux/ring.h"

#include <linux/fs.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>

#include "platform/linux/blocking_operation.h"

namespace weft::platform {
namespace {

// The best first. With DEFER_TASKRUN (6.1) completions are worked off when we ask, not by interrupting the thread; with COOP_TASKRUN (5.19) at
// the next system call; without either whenever the kernel likes.
constexpr std::array<unsigned, 3> kSetupFlags{
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0,
};

Error setup_error(int error_number) {
  switch (error_number) {
    case ENOSYS: return {Errc::kUnsupported, "this kernel has no io_uring"};
    case EPERM:
    case EACCES: return {Errc::kDenied, "io_uring is forbidden (kernel.io_uring_disabled or a seccomp filter)"};
    case ENOMEM: return {Errc::kLimit, "no memory for io_uring: raise the limit on locked memory (ulimit -l)"};
    case EMFILE:
    case ENFILE: return {Errc::kLimit, "no descriptor for io_uring: raise the limit on open files (ulimit -n)"};
    default: return Error::from_errno(error_number, "io_uring_setup");
  }
}

Result<io_uring> open_ring(unsigned submissions, unsigned completions) {
  io_uring ring;
  int failed = -EINVAL;
  for (const unsigned flags : kSetupFlags) {
    io_uring_params params{};
    params.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = completions;
    failed = io_uring_queue_init_params(submissions, &ring, &params);
    if (failed == 0) return ring;
    if (failed != -EINVAL) break;  // EINVAL: flags that this kernel does not know
  }
  return std::unexpected(setup_error(-failed));
}

bool knows_operations(io_uring& ring) {
  io_uring_probe* probe = io_uring_get_probe_ring(&ring);
  if (probe == nullptr) return false;
  bool knows_all = true;
  for (const int opcode : {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_FALLOCATE}) {
    knows_all = knows_all && io_uring_opcode_supported(probe, opcode) != 0;
  }
  io_uring_free_probe(probe);
  return knows_all;
}

void prepare(io_uring_sqe& sqe, const media::Operation& operation) {
  const int fd = operation.handle;
  switch (operation.kind) {
    case media::Kind::kRead: io_uring_prep_read(&sqe, fd, operation.data, operation.length, operation.offset); return;
    case media::Kind::kWrite: io_uring_prep_write(&sqe, fd, operation.data, operation.length, operation.offset); return;
    case media::Kind::kWriteStable:
      io_uring_prep_write(&sqe, fd, operation.data, operation.length, operation.offset);
      sqe.rw_flags = RWF_DSYNC;
      return;
    case media::Kind::kSync: io_uring_prep_fsync(&sqe, fd, IORING_FSYNC_DATASYNC); return;
    case media::Kind::kZero:
    case media::Kind::kZeroDeallocate:
    case media::Kind::kDiscard:
      io_uring_prep_fallocate(&sqe, fd, fallocate_mode(operation.kind), off_t(operation.offset), operation.length);
      return;
  }
}

}  // namespace

Result<void> probe_io_uring() {
  auto ring = open_ring(4, 8);
  if (!ring) return std::unexpected(ring.error());
  const bool knows_all = knows_operations(*ring);
  io_uring_queue_exit(&*ring);
  if (!knows_all) return fail(Errc::kUnsupported, "this kernel's io_uring is older than Linux 5.6");
  return {};
}

Result<std::unique_ptr<Ring>> Ring::create(Reactor& reactor, EventLoop* loop) {
  auto opened = open_ring(kSubmissions, kCompletions);
  if (!opened) return std::unexpected(opened.error());
  std::unique_ptr<Ring> ring{new Ring(*opened, loop)};
  if (auto watched = ring->watch_completions(); !watched) return std::unexpected(watched.error());
  reactor.add(*ring);
  return ring;
}

Ring::~Ring() {
  WEFT_ASSERT(outstanding_ == 0 && waiting_.empty());
  if (poller_link.is_linked()) poller_link.unlink();
  if (completion_event_.is_open()) loop_->unwatch(completion_event_.get(), *this);
  io_uring_queue_exit(&ring_);
}

/// An eventfd, because polling the ring's own descriptor is not told of completions that DEFER_TASKRUN has put off.
Result<void> Ring::watch_completions() {
  if (loop_ == nullptr) return {};
  UniqueFd event{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event.is_open()) return std::unexpected(Error::from_errno(errno, "eventfd for io_uring"));
  if (const int failed = io_uring_register_eventfd(&ring_, event.get()); failed != 0) {
    return std::unexpected(Error::from_errno(-failed, "io_uring_register_eventfd"));
  }
  // Edge-triggered: each completion is an event of its own, so the counter is never read.
  if (auto watched = loop_->watch(event.get(), EPOLLIN | EPOLLET, *this); !watched) return watched;
  completion_event_ = std::move(event);
  return {};
}

void Ring::on_events(uint32_t) { poll(); }

void Ring::submit(media::Operation& operation) {
  if (!waiting_.empty() || !try_prepare(operation)) waiting_.push_back(operation);
}

bool Ring::try_prepare(media::Operation& operation) {
  if (outstanding_ == kCompletions) return false;
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) return false;
  prepare(*sqe, operation);
  io_uring_sqe_set_data(sqe, &operation);
  ++outstanding_;
  return true;
}

void Ring::prepare_waiting() {
  while (media::Operation* operation = waiting_.front()) {
    if (!try_prepare(*operation)) return;
    operation->link.unlink();
  }
}

size_t Ring::flush() {
  for (;;) {
    prepare_waiting();
    const unsigned ready = io_uring_sq_ready(&ring_);
    if (ready == 0) return 0;  // what still waits does so for completions
    const int submitted = io_uring_submit(&ring_);
    if (submitted <= 0) {  // the kernel is short of memory, or a signal came: the next cycle tries again
      WEFT_SUSPECT(submitted == -EAGAIN || submitted == -EBUSY || submitted == -EINTR || submitted == -ENOMEM);
      return ready;
    }
  }
}

size_t Ring::poll() {
  if (outstanding_ == 0) return 0;
  // Put-off and overflowed completions are brought in by a call; without any the kernel is not entered.
  const unsigned flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
  if ((flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) io_uring_get_events(&ring_);
  size_t count = 0;
  for (; count < kPollMax; ++count) {
    io_uring_cqe* cqe = nullptr;
    if (io_uring_cq_ready(&ring_) == 0 || io_uring_peek_cqe(&ring_, &cqe) != 0 || cqe == nullptr) break;
    auto* operation = static_cast<media::Operation*>(io_uring_cqe_get_data(cqe));
    const int32_t result = cqe->res;
    io_uring_cqe_seen(&ring_, cqe);
    WEFT_ASSERT(outstanding_ > 0);
    --outstanding_;
    operation->owner->operation_done(*operation, result);
  }
  return count;
}

}  // namespace weft::platform
