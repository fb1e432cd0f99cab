#include "platform/linux/uring_net.h"

#include <poll.h>

#include <atomic>
#include <cerrno>

namespace weft::platform {

static_assert(net::Stream<UringStream> && net::Net<UringNet>);

Result<std::unique_ptr<UringNet>> UringNet::create(EventLoop& loop, Reactor& reactor) {
  // Disabled, so that the thread that enables it, the reactor's, is the one that may enter.
  auto ring = KernelRing::open({.submissions = kSubmissions, .completions = kCompletions, .setup_flags = IORING_SETUP_R_DISABLED});
  if (!ring) return std::unexpected(ring.error());
  std::unique_ptr<UringNet> net{new UringNet(loop, reactor, std::move(*ring))};
  if (auto given = net->buffers_.give_to(*net->ring_->get()); !given) return std::unexpected(given.error());
  if (auto woken = net->ring_->wake(loop, *net); !woken) return std::unexpected(woken.error());
  reactor.add(*net);
  return net;
}

UringNet::~UringNet() {
  WEFT_ASSERT(free_slots_.size() == slots_.size());
  if (poller_link.is_linked()) poller_link.unlink();
}

Result<UringStream> UringNet::connect(const net::Address& address) {
  auto fd = connect_socket(address);
  if (!fd) return std::unexpected(fd.error());
  return UringStream{*this, std::move(*fd)};
}

size_t UringNet::poll() {
  size_t handled = take_in();
  if (handled > 0 && is_waking_) set_waking(false);
  if (handled == 0 && !is_waking_) {  // the reactor may sleep after this cycle: what comes from here on wakes it
    set_waking(true);
    handled = take_in();
  }
  return handled;
}

void UringNet::set_waking(bool is_waking) {
  is_waking_ = is_waking;
  const int failed = io_uring_cq_eventfd_toggle(ring_->get(), is_waking);
  WEFT_ASSERT(failed == 0);
  // Either the kernel sees that it must wake us, or we see what it has put off.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

/// What a cycle asks for is submitted by the poll of the next one, which has to enter the kernel for what was put off.
size_t UringNet::take_in() {
  io_uring* ring = ring_->get();
  if (io_uring_sq_ready(ring) > 0 || ring_->must_get_events()) enter();
  size_t count = 0;
  for (; count < kPollMax && io_uring_cq_ready(ring) > 0; ++count) {
    io_uring_cqe* next = nullptr;
    if (io_uring_peek_cqe(ring, &next) != 0) break;
    const io_uring_cqe cqe = *next;
    io_uring_cqe_seen(ring, next);
    complete(cqe);
  }
  return count;
}

void UringNet::enter() {
  if (!std::exchange(is_enabled_, true)) ring_->enable();
  const int submitted = io_uring_submit_and_get_events(ring_->get());
  // Short of memory, or full of completions that have to be taken first: the next cycle tries again.
  WEFT_SUSPECT(submitted >= 0 || submitted == -EAGAIN || submitted == -EBUSY || submitted == -EINTR || submitted == -ENOMEM);
}

uint64_t UringNet::name_of(const UringStream& stream, What what) const {
  return uint64_t{slots_[stream.slot_].generation} << 32 | uint64_t{stream.slot_} << 1 | uint64_t(what);
}

void UringNet::complete(const io_uring_cqe& cqe) {
  if (cqe.user_data == 0) return;  // of a cancellation
  const Slot& slot = slots_[uint32_t(cqe.user_data) >> 1];
  if (slot.stream == nullptr || slot.generation != uint32_t(cqe.user_data >> 32)) {
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) buffers_.give_back(uint16_t(cqe.flags >> IORING_CQE_BUFFER_SHIFT));
    return;
  }
  switch (What(cqe.user_data & 1)) {
    case What::kReceive: slot.stream->received(cqe.res, cqe.flags); return;
    case What::kSend:
      slot.stream->is_blocked_ = false;
      slot.stream->events_->on_writable();
      return;
  }
}

io_uring_sqe& UringNet::next_entry() {
  io_uring_sqe* entry = io_uring_get_sqe(ring_->get());
  while (entry == nullptr) {
    enter();
    entry = io_uring_get_sqe(ring_->get());
  }
  return *entry;
}

void UringNet::attach(UringStream& stream) {
  if (free_slots_.empty()) {
    free_slots_.push_back(uint32_t(slots_.size()));
    slots_.emplace_back();
  }
  stream.slot_ = free_slots_.back();
  free_slots_.pop_back();
  slots_[stream.slot_].stream = &stream;
}

void UringNet::start_receive(UringStream& stream) {
  io_uring_sqe& entry = next_entry();
  io_uring_prep_recv(&entry, stream.fd_.get(), nullptr, 0, 0);  // as much as the buffer holds
  entry.flags |= IOSQE_BUFFER_SELECT;
  entry.buf_group = ReceiveBuffers::kGroup;
  entry.ioprio |= IORING_RECVSEND_POLL_FIRST;  // the socket was empty a moment ago
  entry.user_data = name_of(stream, What::kReceive);
  stream.is_receiving_ = true;
}

void UringNet::start_wait_to_send(UringStream& stream) {
  if (std::exchange(stream.is_blocked_, true)) return;
  io_uring_sqe& entry = next_entry();
  io_uring_prep_poll_add(&entry, stream.fd_.get(), POLLOUT);
  entry.user_data = name_of(stream, What::kSend);
}

/// Takes the stream's operations back, at once, so that closing the socket closes the connection. Returns whether bytes that came are lost.
bool UringNet::detach(UringStream& stream) {
  io_uring* ring = ring_->get();
  bool has_lost = false;
  if (stream.is_receiving_ || stream.is_blocked_) {
    io_uring_sqe& entry = next_entry();
    io_uring_prep_cancel_fd(&entry, stream.fd_.get(), IORING_ASYNC_CANCEL_ALL);
    entry.user_data = 0;
    enter();
    unsigned head;
    io_uring_cqe* cqe;
    io_uring_for_each_cqe(ring, head, cqe) has_lost |= cqe->user_data == name_of(stream, What::kReceive) && cqe->res > 0;
  }
  slots_[stream.slot_].stream = nullptr;
  ++slots_[stream.slot_].generation;
  free_slots_.push_back(stream.slot_);
  return has_lost;
}

}  // namespace weft::platform
