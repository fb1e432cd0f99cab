// One reactor's io_uring, shared by all its channels: what the cycle submitted goes to the kernel in one call, completions are found by looking
// at memory. Made and used on its reactor's thread; a poller of it. Its eventfd wakes the reactor when it sleeps. A template over what operations
// become: Ring for files and disks, NvmeRing for NVMe commands, whose entries are twice as large.
#pragma once
#include <memory>
#include <vector>

#include "core/reactor.h"
#include "media/media.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/file_commands.h"
#include "platform/linux/kernel_ring.h"
#include "platform/linux/nvme_commands.h"

namespace weft::platform {

template <typename Commands>
class CommandRing final : public Poller, private FdHandler {
 public:
  static constexpr unsigned kSubmissions = 512;   // entries; more in one cycle go in several calls
  static constexpr unsigned kCompletions = 4096;  // entries; also the most operations in the kernel, so that none is ever lost

  /// Registers with `reactor`. `loop` may be null: then nothing wakes the reactor, and who runs it must not sleep. Both outlive the ring.
  /// Errors: kUnsupported or kDenied where io_uring is not to be had, kLimit.
  static Result<std::unique_ptr<CommandRing>> create(Reactor& reactor, EventLoop* loop);
  /// Requires: nothing outstanding; on the reactor's thread, or when it runs no more.
  ~CommandRing() override;

  /// Requires: operation.handle and kind are those that the commands know.
  void submit(media::Operation& operation);
  Commands& commands() { return commands_; }

  size_t poll() override;
  size_t flush() override;

 private:
  static constexpr size_t kPollMax = 256;  // completions of one poll

  explicit CommandRing(std::unique_ptr<KernelRing> ring) : ring_(std::move(ring)) {}
  void on_events(uint32_t epoll_events) override;
  bool try_prepare(media::Operation& operation);
  void prepare_waiting();

  std::unique_ptr<KernelRing> ring_;
  Commands commands_;
  unsigned outstanding_ = 0;  // prepared or in the kernel
  IntrusiveList<media::Operation, &media::Operation::link> waiting_;  // for a submission entry, in order
};

using Ring = CommandRing<FileCommands>;
using NvmeRing = CommandRing<NvmeCommands>;

/// Whether io_uring can be had and does what a CommandRing needs. Leaves nothing behind.
template <typename Commands>
Result<void> probe_io_uring();

/// The rings of all reactors. Each is made when its reactor opens its first queue and kept. Outlives the mediums; dies when the reactors run no
/// more and before they and their loops do.
template <typename R>
class RingsOf {
 public:
  /// loops[i] wakes the reactor with index i; null where nothing has to (tests).
  explicit RingsOf(std::span<EventLoop* const> loops) : slots_(loops.size()) {
    for (size_t i = 0; i < loops.size(); ++i) slots_[i].loop = loops[i];
  }
  /// On `reactor`. Errors: as create().
  Result<R*> ring_of(Reactor& reactor) {
    WEFT_ASSERT(reactor.index() < slots_.size());
    Slot& slot = slots_[reactor.index()];
    if (slot.ring == nullptr) {
      auto ring = R::create(reactor, slot.loop);
      if (!ring) return std::unexpected(ring.error());
      slot.ring = std::move(*ring);
    }
    return slot.ring.get();
  }

 private:
  struct Slot {  // belongs to the reactor with its index
    EventLoop* loop = nullptr;
    std::unique_ptr<R> ring;
  };
  std::vector<Slot> slots_;
};
using Rings = RingsOf<Ring>;
using NvmeRings = RingsOf<NvmeRing>;

}  // namespace weft::platform
