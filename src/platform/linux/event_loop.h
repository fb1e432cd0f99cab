// The real clock of a reactor, and the one descriptor that it sleeps on: an epoll set with everything that should wake it. Made before its
// reactor, registered with it as a poller, outlives it. wake() may be called by any thread, the rest by the reactor's.
#pragma once
#include <sys/epoll.h>

#include <array>
#include <memory>
#include <span>

#include "base/error.h"
#include "core/clock.h"
#include "core/poller.h"
#include "platform/linux/unique_fd.h"

namespace weft::platform {

/// Is told what happened to a descriptor. Called from EventLoop::poll().
class FdHandler {
 public:
  virtual void on_events(uint32_t epoll_events) = 0;

 protected:
  ~FdHandler() = default;
};

class EventLoop final : public Clock, public Poller {
 public:
  /// Errors: the system's (out of descriptors).
  static Result<std::unique_ptr<EventLoop>> create();

  /// Calls `handler` when one of `epoll_events` (EPOLLIN, …, EPOLLET) is there, until unwatch(). Does not own `fd`. Errors: the system's.
  Result<void> watch(int fd, uint32_t epoll_events, FdHandler& handler);
  /// Changes what a watched descriptor is watched for; 0: nothing but errors and hang-ups.
  void rewatch(int fd, uint32_t epoll_events, FdHandler& handler);
  /// No call of `handler` comes any more, also not for events that were already taken in. Requires: `fd` is watched and still open.
  void unwatch(int fd, FdHandler& handler);

  Instant now() override;
  uint64_t wall_clock_ms() override;
  void wait(Instant deadline) override;
  void wake() override;
  /// Takes in what is ready, without waiting, and calls its handlers; returns how many.
  size_t poll() override;

 private:
  static constexpr size_t kBatch = 256;  // events of one poll; the kernel keeps the others, in turn
  EventLoop(UniqueFd epoll, UniqueFd wake_event) : epoll_(std::move(epoll)), wake_event_(std::move(wake_event)) {}
  void take_in(Duration timeout);

  UniqueFd epoll_;
  UniqueFd wake_event_;
  std::array<epoll_event, kBatch> events_;  // taken in, the first `next_` of them handled; data.ptr null: handle no more
  size_t count_ = 0;
  size_t next_ = 0;
  bool is_woken_ = false;  // a wake() was seen by poll(), which is not what it is for: the next wait() answers it
};

}  // namespace weft::platform
