// One reactor's way to an NVMe device: the queue pair that the channels to all of its namespaces share there, and the memory that they need beside their
// data. Ios that find no room wait here, in their order, whatever namespace they are for. It stays when the controller goes, and takes the one that comes
// (nvme_device.h); while there is none, or it has failed, it is not open, and every Io ends at once with a path error.
// Owned by NvmeDevice; belongs to its reactor.
#pragma once
#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "bdev/bdev.h"
#include "bdev/bounce_buffers.h"
#include "core/latencies.h"
#include "nvme/controller.h"

namespace weft::bdev {

class NvmeChannel;

/// What a device is now, as its home reactor tells the others.
struct NvmeView {
  struct Namespace {
    const Bdev* bdev;  // for which it may be used: the same that the device was made on
    nvme::NamespaceFacts facts;
  };
  nvme::ControllerFacts controller;
  std::vector<Namespace> namespaces;  // those that are not here cannot be used
};

class NvmePort final : public nvme::IoQueueClient {
 public:
  static constexpr size_t kZeroesBytes = 128 << 10;
  static constexpr size_t kMemoryBytes = BounceBuffers::kCount * BounceBuffers::kBytes + kZeroesBytes;

  explicit NvmePort(Reactor& reactor) : reactor_(reactor) {}
  /// Requires: left, and no channel.
  ~NvmePort();
  NvmePort(const NvmePort&) = delete;
  NvmePort& operator=(const NvmePort&) = delete;

  Reactor& reactor() const { return reactor_; }

  // --- for NvmeDevice ----------------------------------------------------------------------------------------------------
  /// Opens it on `controller`. Errors: kLimit. Requires: new, or left. Outlives: the controller until it is left.
  Result<void> enter(nvme::Controller& controller);
  void show(NvmeView view);
  /// Begins nothing any more; when what the device has is done, gives back queue and memory and calls `left`, maybe at once.
  void leave(std::move_only_function<void()> left);

  // --- for channels ------------------------------------------------------------------------------------------------------
  void add(NvmeChannel& channel);
  void remove(NvmeChannel& channel);
  bool is_open() const { return is_open_; }
  /// Requires, as of the next four: entered and not left.
  nvme::IoQueue& queue() { return *queue_; }
  const pci::DmaMap& map() const { return *map_; }
  BounceBuffers& bounces() { return *bounces_; }
  uint64_t bounce_iova(uint8_t index) const { return memory_.iova() + size_t{index} * BounceBuffers::kBytes; }
  uint64_t zeroes_iova() const { return memory_.iova() + BounceBuffers::kCount * BounceBuffers::kBytes; }

  bool has_waiting() const { return !waiting_.empty(); }
  void wait(Io& io) { waiting_.push_back(io); }
  /// Ends those that wait for `channel`; null: for any.
  void end_waiting(const NvmeChannel* channel);
  /// A command of a channel has ended.
  void command_ended();
  /// An Io has, that was submitted then.
  void io_ended(Op op, Instant submitted) { latencies_[size_t(op)].add(reactor_.now() - submitted); }
  /// Of whole Ios, with their waiting and their tries; any thread.
  const Latencies& latencies(Op op) const { return latencies_[size_t(op)]; }

 private:
  // nvme::IoQueueClient.
  void on_queue_changed() override;
  void on_room() override { serve_waiting(); }
  void serve_waiting();
  void show(NvmeChannel& channel);
  void finish_leaving();

  Reactor& reactor_;
  bool is_open_ = false;
  nvme::IoQueueHandle queue_;
  const pci::DmaMap* map_ = nullptr;
  pci::DmaBuffer memory_;  // bounce buffers, then zeroes
  std::optional<BounceBuffers> bounces_;
  IntrusiveList<Io, &Io::link> waiting_;
  std::vector<NvmeChannel*> channels_;
  NvmeView view_;
  std::array<Latencies, kOps> latencies_;
  std::move_only_function<void()> on_left_;  // while it is being left
};

}  // namespace weft::bdev
