// One reactor's io_uring, shared by all its channels: what the cycle submitted goes to the kernel in one call, completions are found by looking
// at memory. Made and used on its reactor's thread; a poller of it. Its eventfd wakes the reactor when it sleeps.
#pragma once
#include <memory>

#include "core/reactor.h"
#include "media/media.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/kernel_ring.h"

namespace weft::platform {

class Ring final : public Poller, private FdHandler {
 public:
  static constexpr unsigned kSubmissions = 512;   // entries; more in one cycle go in several calls
  static constexpr unsigned kCompletions = 4096;  // entries; also the most operations in the kernel, so that none is ever lost

  /// Registers with `reactor`. `loop` may be null: then nothing wakes the reactor, and who runs it must not sleep. Both outlive the ring.
  /// Errors: kUnsupported or kDenied where io_uring is not to be had, kLimit.
  static Result<std::unique_ptr<Ring>> create(Reactor& reactor, EventLoop* loop);
  /// Requires: nothing outstanding; on the reactor's thread, or when it runs no more.
  ~Ring() override;

  /// Requires: operation.handle is the file; the kind is one the ring knows: all but kDiscard of a disk.
  void submit(media::Operation& operation);

  size_t poll() override;
  size_t flush() override;

 private:
  static constexpr size_t kPollMax = 256;  // completions of one poll

  explicit Ring(std::unique_ptr<KernelRing> ring) : ring_(std::move(ring)) {}
  void on_events(uint32_t epoll_events) override;
  bool try_prepare(media::Operation& operation);
  void prepare_waiting();

  std::unique_ptr<KernelRing> ring_;
  unsigned outstanding_ = 0;  // prepared or in the kernel
  IntrusiveList<media::Operation, &media::Operation::link> waiting_;  // for a submission entry, in order
};

/// Whether io_uring can be had and does what a Ring needs. Leaves nothing behind.
Result<void> probe_io_uring();

}  // namespace weft::platform
