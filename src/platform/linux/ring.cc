#include "platform/linux/ring.h"

#include <cerrno>

namespace weft::platform {

template <typename Commands>
Result<void> probe_io_uring() {
  auto ring = KernelRing::open({.submissions = 4, .completions = 8, .setup_flags = Commands::kSetupFlags});
  if (!ring) return std::unexpected(ring.error());
  if (!(*ring)->knows(Commands::kOpcodes)) return fail(Errc::kUnsupported, Commands::kTooOld);
  return {};
}

template <typename Commands>
Result<std::unique_ptr<CommandRing<Commands>>> CommandRing<Commands>::create(Reactor& reactor, EventLoop* loop) {
  auto opened = KernelRing::open({.submissions = kSubmissions, .completions = kCompletions, .setup_flags = Commands::kSetupFlags});
  if (!opened) return std::unexpected(opened.error());
  std::unique_ptr<CommandRing> ring{new CommandRing(std::move(*opened))};
  if (loop != nullptr) {
    if (auto woken = ring->ring_->wake(*loop, *ring); !woken) return std::unexpected(woken.error());
  }
  reactor.add(*ring);
  return ring;
}

template <typename Commands>
CommandRing<Commands>::~CommandRing() {
  WEFT_ASSERT(outstanding_ == 0 && waiting_.empty());
  if (poller_link.is_linked()) poller_link.unlink();
}

template <typename Commands>
void CommandRing<Commands>::on_events(uint32_t) { poll(); }

template <typename Commands>
void CommandRing<Commands>::submit(media::Operation& operation) {
  if (!waiting_.empty() || !try_prepare(operation)) waiting_.push_back(operation);
}

template <typename Commands>
bool CommandRing<Commands>::try_prepare(media::Operation& operation) {
  if (outstanding_ == kCompletions || !commands_.has_room_for(operation)) return false;
  io_uring_sqe* sqe = io_uring_get_sqe(ring_->get());
  if (sqe == nullptr) return false;
  commands_.prepare(*sqe, operation);
  io_uring_sqe_set_data(sqe, &operation);
  ++outstanding_;
  return true;
}

template <typename Commands>
void CommandRing<Commands>::prepare_waiting() {
  while (media::Operation* operation = waiting_.front()) {
    if (!try_prepare(*operation)) return;
    operation->link.unlink();
  }
}

template <typename Commands>
size_t CommandRing<Commands>::flush() {
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

template <typename Commands>
size_t CommandRing<Commands>::poll() {
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
    operation->owner->operation_done(*operation, commands_.finish(*operation, result));
  }
  return count;
}

template class CommandRing<FileCommands>;
template class CommandRing<NvmeCommands>;
template Result<void> probe_io_uring<FileCommands>();
template Result<void> probe_io_uring<NvmeCommands>();

}  // namespace weft::platform
