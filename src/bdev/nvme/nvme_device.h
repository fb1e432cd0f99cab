// The place of one NVMe device: its namespaces are block devices that stay when the device goes, and go on when it is back. Controllers come and go here:
//
//   NvmeDevice(…) ─► use(controller) ─► make() … ─► [on_lost ─► leave() ─► Controller::stop(), a new Function and Controller ─► use()] … ─► leave()
//
// Between leave() and use(), and from the moment when a controller has failed for good, every Io ends at once with a path error, without DNR. What
// comes with use() is looked at first: a namespace that is not the same (identity, block size, what its users were told of it) stays away, and the log says why.
// Made by who opens devices (platform::NvmeEngine); belongs to the controller's home reactor, and has a port on each reactor that uses it.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bdev/nvme/nvme_port.h"
#include "core/task.h"
#include "nvme/controller.h"

namespace weft::bdev {

class NvmeBdev;

/// A namespace as a block device, by what it says of itself. `name`: for messages.
Info describe(std::string name, const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns);

class NvmeDevice {
 public:
  /// `name` for messages: the address. `reactors`: those that will open channels. `on_lost` is called on the home reactor when a controller has failed for
  /// good: time to leave() it, and to stop and destroy it. Outlives: the reactors outlive the device.
  NvmeDevice(Reactor& home, std::span<Reactor* const> reactors, std::string name, std::move_only_function<void()> on_lost);
  /// Requires: left (or never used), and its block devices are gone.
  ~NvmeDevice();
  NvmeDevice(const NvmeDevice&) = delete;
  NvmeDevice& operator=(const NvmeDevice&) = delete;

  // --- all on the home reactor -------------------------------------------------------------------------------------------
  /// Every reactor opens its queue pair on `controller`; `done` is told when they have, or the first error (kLimit). Then, and also after an error, leave()
  /// comes before the controller is stopped. Requires: `controller` has started with success; new, or left. Outlives: it outlives leave()'s end.
  void use(nvme::Controller& controller, std::move_only_function<void(Result<void>)> done);
  /// Lets go of the controller; `left` is called when no queue is there any more and Controller::stop() may be called. Nothing new is begun; waits for
  /// what the device has, which the controller's time-outs bound. Requires: use() is done.
  void leave(std::move_only_function<void()> left);
  /// How long operations took here so far; any thread.
  Latencies::Sum latencies(Op op) const;
  /// The namespace as a block device, whose channels are opened by messages that are sent after this, or later. Errors: kNotFound, or kUnsupported
  /// with what it is. Requires: in use.
  Result<std::unique_ptr<Bdev>> make(uint32_t nsid);

 private:
  friend class NvmeBdev;
  /// Any reactor. Requires: one of those named.
  NvmePort& port(Reactor& reactor);
  /// The namespace as it is now. Errors: as make(), and why it is not the one that `bdev` was made of.
  Result<nvme::NamespaceFacts> look_for(const NvmeBdev& bdev) const;
  Task<Result<void>> enter_all();
  Task<Result<void>> leave_all();
  void controller_changed();
  void tell_ports();
  NvmeView view() const;
  void log_latencies() const;

  Reactor& home_;
  std::string name_;
  std::move_only_function<void()> on_lost_;
  nvme::Controller* controller_ = nullptr;  // null: left
  std::vector<std::unique_ptr<NvmePort>> ports_;
  std::vector<NvmeBdev*> bdevs_;
  std::optional<Task<Result<void>>> running_;
};

}  // namespace weft::bdev
