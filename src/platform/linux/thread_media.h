// The media seam on threads that block, for where io_uring is forbidden. Slower, and as safe.
#pragma once
#include "media/media.h"
#include "platform/linux/blocking_workers.h"
#include "platform/linux/open_medium.h"

namespace weft::platform {

class ThreadQueue {
 public:
  ThreadQueue(const OpenMedium& medium, BlockingWorkers& workers, Reactor& reactor) : medium_(medium), queue_(workers, reactor) {}
  void submit(media::Operation& operation) { queue_.submit(operation); }
  bool has_vanished() const { return medium_.kind == FileKind::kBlockDevice && disk_has_vanished(medium_.fd.get()); }

 private:
  const OpenMedium& medium_;
  BlockingQueue queue_;
};

class ThreadMedium {
 public:
  using Queue = ThreadQueue;
  static constexpr size_t kThreads = 4;  // the queue depth that the device sees

  /// Errors: kLimit.
  static Result<std::unique_ptr<ThreadMedium>> create(OpenMedium medium) {
    auto workers = BlockingWorkers::start(medium.fd.get(), medium.kind, kThreads);
    if (!workers) return std::unexpected(workers.error());
    return std::unique_ptr<ThreadMedium>(new ThreadMedium(std::move(medium), std::move(*workers)));
  }
  media::Alignment alignment() const { return medium_.alignment; }
  Result<uint64_t> size_bytes() const { return size_bytes_of(medium_.fd.get(), medium_.kind); }
  Result<std::unique_ptr<Queue>> open_queue(Reactor& reactor) {
    return std::make_unique<ThreadQueue>(medium_, *workers_, reactor);
  }

 private:
  ThreadMedium(OpenMedium medium, std::unique_ptr<BlockingWorkers> workers)
      : medium_(std::move(medium)), workers_(std::move(workers)) {}
  OpenMedium medium_;
  std::unique_ptr<BlockingWorkers> workers_;  // dies before the descriptor it uses
};
static_assert(media::SizedMedium<ThreadMedium>);

}  // namespace weft::platform
