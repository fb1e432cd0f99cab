// What a target's process has for one NVMe device of its machine: what platform::NvmeEngine does, in virtual time. Opens the device when a namespace is
// asked for; when the controller was lost, lets go of it and brings it up again with the next one that is asked for. Belongs to the process, and
// to its home reactor; dies with it, or ends in order by close().
#pragma once
#include "bdev/nvme/nvme_device.h"
#include "nvme/controller.h"
#include "sim/nvme_function.h"

#include <functional>
#include <memory>
#include <span>

namespace weft::sim {

class NvmeSeat {
 public:
  struct Options {
    std::span<Reactor* const> reactors;  // the first one is home
    std::span<const std::span<std::byte>> pools;  // memory that the device reaches
    uint64_t seed = 0;
  };
  /// Outlives: `hardware` and the reactors outlive the seat.
  NvmeSeat(NvmeDevice& hardware, const Options& options);

  const NvmeDevice& hardware() const { return hardware_; }
  using Opened = std::move_only_function<void(Result<std::unique_ptr<bdev::Bdev>>)>;
  /// Its namespace 1. Errors: the controller's. Requires: on the home reactor; nobody waits for another one.
  void open(Opened opened);
  /// Shuts the device down; `closed` on the home reactor. Requires: its block devices are gone.
  void close(std::move_only_function<void()> closed);
  /// The process has died, and nothing of it runs any more.
  void die();

 private:
  void bring_up(Opened opened);
  void let_go(std::move_only_function<void()> then);
  void make(Opened opened) { opened(place_.make(1)); }

  NvmeDevice& hardware_;
  Reactor& home_;
  std::vector<std::span<std::byte>> pools_;
  Prng random_;
  bdev::NvmeDevice place_;
  std::unique_ptr<NvmeFunction> function_;
  std::unique_ptr<nvme::Controller> controller_;
  bool is_used_ = false;  // by place_
  bool is_lost_ = false;
};

}  // namespace weft::sim
