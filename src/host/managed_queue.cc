#include "host/managed_queue.h"

#include <utility>

#include "base/simulation.h"

namespace weft::host {

Result<void> ManagedQueue::start(Transport& transport, const Endpoint& endpoint, const QueueOptions& options) {
  WEFT_ASSERT(queue_ == nullptr);
  auto opened = transport.open(endpoint, options, *this);
  if (!opened) return std::unexpected(opened.error());
  queue_ = std::move(*opened);
  return {};
}

void ManagedQueue::on_open() {
  is_open_ = true;
  wake();
}

void ManagedQueue::on_closed(const Error& reason) {
  is_open_ = false;
  end_ = reason;
  on_end_(reason);
  wake();
}

/// Goes on from the mailbox, where the coroutine may do what it likes with the queue.
void ManagedQueue::wake() {
  reactor_.disarm(timer_);
  // It may open and end before it is delivered once.
  if (waiting_ && !std::exchange(is_waking_, true)) reactor_.post(static_cast<Message&>(*this));
}

void ManagedQueue::deliver() {
  is_waking_ = false;
  std::exchange(waiting_, nullptr).resume();
}

void ManagedQueue::on_timeout() {
  WEFT_PROBE("host/connection-times-out");
  queue_->close(Error{Errc::kTimedOut, "the connection was not established in time"});
}

}  // namespace weft::host
