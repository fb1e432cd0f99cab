#include "platform/linux/kernel_ring.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace weft::platform {
namespace {

// The best first. With DEFER_TASKRUN (6.1) completions are worked off when we ask, not by interrupting the thread; with COOP_TASKRUN (5.19) at
// the next system call; without either whenever the kernel likes.
constexpr std::array<unsigned, 3> kTaskWorkFlags{
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0,
};

Error setup_error(int error_number) {
  switch (error_number) {
    case ENOSYS: return {Errc::kUnsupported, "this kernel has no io_uring"};
    case EINVAL: return {Errc::kUnsupported, "this kernel's io_uring is older than Linux 5.19"};  // it knows flags, but not all of Options::setup_flags
    case EPERM:
    case EACCES: return {Errc::kDenied, "io_uring is forbidden (kernel.io_uring_disabled or a seccomp filter)"};
    case ENOMEM: return {Errc::kLimit, "no memory for io_uring: raise the limit on locked memory (ulimit -l)"};
    case EMFILE:
    case ENFILE: return {Errc::kLimit, "no descriptor for io_uring: raise the limit on open files (ulimit -n)"};
    default: return Error::from_errno(error_number, "io_uring_setup");
  }
}

}  // namespace

Result<std::unique_ptr<KernelRing>> KernelRing::open(const Options& options) {
  io_uring ring;
  int failed = -EINVAL;
  for (const unsigned flags : kTaskWorkFlags) {
    io_uring_params params{};
    params.flags = flags | options.setup_flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = options.completions;
    failed = io_uring_queue_init_params(options.submissions, &ring, &params);
    if (failed == 0) return std::unique_ptr<KernelRing>(new KernelRing(ring));
    if (failed != -EINVAL) break;  // EINVAL: flags that this kernel does not know
  }
  return std::unexpected(setup_error(-failed));
}

KernelRing::~KernelRing() {
  if (loop_ != nullptr) loop_->unwatch(completion_event_.get(), *handler_);
  io_uring_queue_exit(&ring_);
}

/// An eventfd, because polling the ring's own descriptor is not told of completions that DEFER_TASKRUN has put off.
Result<void> KernelRing::wake(EventLoop& loop, FdHandler& handler) {
  UniqueFd event{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event.is_open()) return std::unexpected(Error::from_errno(errno, "eventfd for io_uring"));
  if (const int failed = io_uring_register_eventfd(&ring_, event.get()); failed != 0) {
    return std::unexpected(Error::from_errno(-failed, "io_uring_register_eventfd"));
  }
  // Edge-triggered: each completion is an event of its own, so the counter is never read.
  if (auto watched = loop.watch(event.get(), EPOLLIN | EPOLLET, handler); !watched) return watched;
  completion_event_ = std::move(event);
  loop_ = &loop;
  handler_ = &handler;
  return {};
}

bool KernelRing::knows(std::span<const int> opcodes) {
  io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
  if (probe == nullptr) return false;
  const bool knows_all = std::ranges::all_of(opcodes, [&](int opcode) { return io_uring_opcode_supported(probe, opcode) != 0; });
  io_uring_free_probe(probe);
  return knows_all;
}

}  // namespace weft::platform
