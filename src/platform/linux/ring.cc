#include "platform/linux/ring.h"

#include <linux/fs.h>

#include <array>
#include <cerrno>

#include "platform/linux/blocking_operation.h"

namespace weft::platform {
namespace {

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
  auto ring = KernelRing::open({.submissions = 4, .completions = 8});
  if (!ring) return std::unexpected(ring.error());
  constexpr std::array kOpcodes{int(IORING_OP_READ), int(IORING_OP_WRITE), int(IORING_OP_FSYNC), int(IORING_OP_FALLOCATE)};
  if (!(*ring)->knows(kOpcodes)) return fail(Errc::kUnsupported, "this kernel's io_uring is older than Linux 5.6");
  return {};
}

Result<std::unique_ptr<Ring>> Ring::create(Reactor& reactor, EventLoop* loop) {
  auto opened = KernelRing::open({.submissions = kSubmissions, .completions = kCompletions});
  if (!opened) return std::unexpected(opened.error());
  std::unique_ptr<Ring> ring{new Ring(std::move(*opened))};
  if (loop != nullptr) {
    if (auto woken = ring->ring_->wake(*loop, *ring); !woken) return std::unexpected(woken.error());
  }
  reactor.add(*ring);
  return ring;
}

Ring::~Ring() {
  WEFT_ASSERT(outstanding_ == 0 && waiting_.empty());
  if (poller_link.is_linked()) poller_link.unlink();
}

void Ring::on_events(uint32_t) { poll(); }

void Ring::submit(media::Operation& operation) {
  if (!waiting_.empty() || !try_prepare(operation)) waiting_.push_back(operation);
}

bool Ring::try_prepare(media::Operation& operation) {
  if (outstanding_ == kCompletions) return false;
  io_uring_sqe* sqe = io_uring_get_sqe(ring_->get());
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
    const unsigned ready = io_uring_sq_ready(ring_->get());
    if (ready == 0) return 0;  // what still waits does so for completions
    const int submitted = io_uring_submit(ring_->get());
    if (submitted <= 0) {  // the kernel is short of memory, or a signal came: the next cycle tries again
      WEFT_SUSPECT(submitted == -EAGAIN || submitted == -EBUSY || submitted == -EINTR || submitted == -ENOMEM);
      return ready;
    }
  }
}

size_t Ring::poll() {
  if (outstanding_ == 0) return 0;
  io_uring* ring = ring_->get();
  // Put-off and overflowed completions are brought in by a call; without any the kernel is not entered.
  if (ring_->must_get_events()) io_uring_get_events(ring);
  size_t count = 0;
  for (; count < kPollMax; ++count) {
    io_uring_cqe* cqe = nullptr;
    if (io_uring_cq_ready(ring) == 0 || io_uring_peek_cqe(ring, &cqe) != 0 || cqe == nullptr) break;
    auto* operation = static_cast<media::Operation*>(io_uring_cqe_get_data(cqe));
    const int32_t result = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    WEFT_ASSERT(outstanding_ > 0);
    --outstanding_;
    operation->owner->operation_done(*operation, result);
  }
  return count;
}

}  // namespace weft::platform
