#include "platform/linux/event_loop.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <ctime>

#include "base/assert.h"

namespace weft::platform {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

int64_t read_clock(clockid_t id) {
  timespec time;
  clock_gettime(id, &time);
  return time.tv_sec * kNsPerSecond + time.tv_nsec;
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  UniqueFd epoll{epoll_create1(EPOLL_CLOEXEC)};
  if (!epoll.is_open()) return std::unexpected(Error::from_errno(errno, "epoll_create1"));
  UniqueFd wake_event{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!wake_event.is_open()) return std::unexpected(Error::from_errno(errno, "eventfd"));
  // Edge-triggered: every write is an event of its own, so the counter is never read (2^64 - 2 wakes are out of reach).
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake_event.get(), &event) != 0) {
    return std::unexpected(Error::from_errno(errno, "epoll_ctl of the wake event"));
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake_event)));
}

Result<void> EventLoop::watch(int fd, uint32_t epoll_events, FdHandler& handler) {
  epoll_event event{.events = epoll_events, .data = {.ptr = &handler}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return std::unexpected(Error::from_errno(errno, "epoll_ctl"));
  return {};
}

void EventLoop::rewatch(int fd, uint32_t epoll_events, FdHandler& handler) {
  epoll_event event{.events = epoll_events, .data = {.ptr = &handler}};
  const int failed = epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  WEFT_ASSERT(failed == 0);
}

void EventLoop::unwatch(int fd, FdHandler& handler) {
  const int failed = epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  WEFT_ASSERT(failed == 0);
  for (size_t i = next_; i < count_; ++i) {
    if (events_[i].data.ptr == &handler) events_[i].data.ptr = nullptr;
  }
}

Instant EventLoop::now() { return {read_clock(CLOCK_MONOTONIC)}; }

uint64_t EventLoop::wall_clock_ms() { return uint64_t(read_clock(CLOCK_REALTIME) / 1'000'000); }

void EventLoop::wait(Instant deadline) {
  if (std::exchange(is_woken_, false) || next_ < count_) return;
  const Instant start = now();
  if (deadline <= start) return;
  // `deadline - start` does not overflow: both are positive.
  take_in(deadline - start);
  is_woken_ = false;
}

void EventLoop::wake() {
  const uint64_t one = 1;
  const ssize_t written = ::write(wake_event_.get(), &one, sizeof one);
  WEFT_SUSPECT(written == sizeof one);
}

size_t EventLoop::poll() {
  if (next_ == count_) take_in(Duration{});
  size_t handled = 0;
  while (next_ < count_) {
    const epoll_event& event = events_[next_++];
    if (event.data.ptr == nullptr) continue;
    static_cast<FdHandler*>(event.data.ptr)->on_events(event.events);
    ++handled;
  }
  return handled;
}

/// Fills events_ with what is ready, waiting for the first at most `timeout`. Wakes are noted and dropped.
void EventLoop::take_in(Duration timeout) {
  WEFT_ASSERT(next_ == count_);
  const timespec time{.tv_sec = timeout.ns / kNsPerSecond, .tv_nsec = timeout.ns % kNsPerSecond};
  int ready = epoll_pwait2(epoll_.get(), events_.data(), kBatch, &time, nullptr);
  if (ready < 0 && errno == ENOSYS) {  // before Linux 5.11: milliseconds, rounded up so that no timer is woken for early
    const int64_t ms = (timeout.ns + 999'999) / 1'000'000;
    ready = epoll_wait(epoll_.get(), events_.data(), kBatch, ms < 3'600'000 ? int(ms) : 3'600'000);
  }
  WEFT_ASSERT(ready >= 0 || errno == EINTR);
  next_ = 0;
  count_ = ready > 0 ? size_t(ready) : 0;
  for (size_t i = 0; i < count_; ++i) {
    if (events_[i].data.ptr == nullptr) is_woken_ = true;
  }
}

}  // namespace weft::platform
