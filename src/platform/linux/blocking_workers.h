// Threads that execute a medium's blocking operations, so that no reactor ever does. One set per medium: a device that hangs holds up its own
// threads only. Each reactor has a BlockingQueue; the queues are served in turn.
#pragma once
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "core/message.h"
#include "core/reactor.h"
#include "media/media.h"
#include "platform/linux/blocking_operation.h"

namespace weft::platform {

class BlockingWorkers;

/// A reactor's operations on their way to the workers and back. Lives on that reactor; nothing is outstanding when it dies.
class BlockingQueue final : private Message {
 public:
  /// Outlives: `workers` and `reactor` outlive the queue, and `reactor` also the workers, whose last post may still be returning.
  BlockingQueue(BlockingWorkers& workers, Reactor& reactor) : workers_(workers), reactor_(reactor) {}
  ~BlockingQueue() override { WEFT_ASSERT(outstanding_ == 0); }
  void submit(media::Operation& operation);

 private:
  friend class BlockingWorkers;
  static constexpr size_t kBatch = 64;  // completions taken in under one lock
  void deliver() override;

  BlockingWorkers& workers_;
  Reactor& reactor_;
  size_t outstanding_ = 0;
  // Under the workers' mutex:
  Link ready_link_;  // in BlockingWorkers::ready_, while something is pending
  IntrusiveList<media::Operation, &media::Operation::link> pending_;
  IntrusiveList<media::Operation, &media::Operation::link> done_;
  bool is_posted_ = false;  // the message is on its way and will find what is in done_
};

class BlockingWorkers {
 public:
  /// `fd` stays the caller's and open. Errors: kLimit when threads cannot be had.
  static Result<std::unique_ptr<BlockingWorkers>> start(int fd, FileKind kind, size_t threads);
  /// Joins the threads: waits for what they execute.
  ~BlockingWorkers();

 private:
  friend class BlockingQueue;
  BlockingWorkers(int fd, FileKind kind) : fd_(fd), kind_(kind) {}
  void work();
  void give_back(BlockingQueue& queue, media::Operation& operation, std::unique_lock<std::mutex>& lock);

  int fd_;
  FileKind kind_;
  std::mutex mutex_;
  std::condition_variable something_ready_;
  IntrusiveList<BlockingQueue, &BlockingQueue::ready_link_> ready_;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace weft::platform
