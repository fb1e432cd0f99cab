#include "platform/linux/blocking_workers.h"

#include <pthread.h>
#include <signal.h>

#include <array>
#include <system_error>

namespace weft::platform {
namespace {

/// Signals are the control thread's: these threads take none.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

void BlockingQueue::submit(media::Operation& operation) {
  ++outstanding_;
  {
    const std::lock_guard lock{workers_.mutex_};
    pending_.push_back(operation);
    if (!ready_link_.is_linked()) workers_.ready_.push_back(*this);
  }
  workers_.something_ready_.notify_one();
}

void BlockingQueue::deliver() {
  for (;;) {
    std::array<media::Operation*, kBatch> batch;
    size_t count = 0;
    bool is_last;
    {
      const std::lock_guard lock{workers_.mutex_};
      while (count < kBatch && !done_.empty()) batch[count++] = done_.pop_front();
      is_last = done_.empty();
      if (is_last) is_posted_ = false;  // what is done from now on posts again
    }
    outstanding_ -= count;
    for (size_t i = 0; i < count; ++i) {
      media::Operation& operation = *batch[i];
      // The last owner may destroy this queue.
      operation.owner->operation_done(operation, operation.result);
    }
    if (is_last) return;
  }
}

Result<std::unique_ptr<BlockingWorkers>> BlockingWorkers::start(int fd, FileKind kind, size_t threads) {
  std::unique_ptr<BlockingWorkers> workers{new BlockingWorkers(fd, kind)};
  try {
    for (size_t i = 0; i < threads; ++i) workers->threads_.emplace_back([&w = *workers] { w.work(); });
  } catch (const std::system_error&) {
    return fail(Errc::kLimit, "cannot start a thread for media operations: raise the limit on processes (ulimit -u)");
  }
  return workers;
}

BlockingWorkers::~BlockingWorkers() {
  {
    const std::lock_guard lock{mutex_};
    is_stopping_ = true;
  }
  something_ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void BlockingWorkers::work() {
  block_signals();
  std::unique_lock lock{mutex_};
  for (;;) {
    something_ready_.wait(lock, [this] { return is_stopping_ || !ready_.empty(); });
    BlockingQueue* queue = ready_.pop_front();
    if (queue == nullptr) return;  // stopping, and nothing left to do
    media::Operation& operation = *queue->pending_.pop_front();
    if (!queue->pending_.empty()) ready_.push_back(*queue);  // behind the other reactors
    lock.unlock();
    operation.result = run_blocking(fd_, kind_, operation);
    lock.lock();
    give_back(*queue, operation, lock);
  }
}

/// Puts `operation` where the queue's message finds it. Returns with the lock held; nothing touches the queue after its message was posted.
void BlockingWorkers::give_back(BlockingQueue& queue, media::Operation& operation, std::unique_lock<std::mutex>& lock) {
  queue.done_.push_back(operation);
  if (queue.is_posted_) return;
  queue.is_posted_ = true;
  Reactor& reactor = queue.reactor_;
  Message& message = queue;
  lock.unlock();
  reactor.post(message);
  lock.lock();
}

}  // namespace weft::platform
