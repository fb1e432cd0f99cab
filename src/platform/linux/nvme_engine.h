// The NVMe devices that this process drives by itself, through VFIO: each brought up once, whichever of its namespaces are served, let go when the kernel
// wants it back or it has failed for good, and brought up again when it is VFIO's again. Made before the reactors run and destroyed after; between, asked by
// the control thread, which waits for what the home reactor does.
//
//   kAway ─► kComing ─► kHere ─► kGoing ─► kGone ─► kAway
//
// Bring-up and shutdown happen on the home reactor; what the kernel takes long for (opening and closing a device, pinning memory), on a thread that sleeps
// while every device is here.
#pragma once
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "bdev/nvme/nvme_device.h"
#include "platform/linux/vfio_function.h"

namespace weft::platform {

class NvmeEngine {
 public:
  /// The first room is the home reactor's. `pools`: memory that data is moved to and from. Outlives: all of it outlives the engine. `log`: the control
  /// thread's.
  NvmeEngine(std::vector<VfioFunction::Room> rooms, MemorySource& memory, std::vector<std::span<std::byte>> pools, Log& log)
      : rooms_(std::move(rooms)), memory_(memory), pools_(std::move(pools)), log_(log) {}
  /// Requires: stop() has returned true, or no device was made.
  ~NvmeEngine();

  /// A namespace of a device that VFIO has.
  struct Wanted {
    std::string address;  // PCI
    uint32_t nsid = 1;
    bool allows_no_iommu = false;  // where there is none: the device can then read and write all memory of the machine
  };
  /// Waits for the device's bring-up, whose steps are bounded by CAP.TO. Requires: the reactors run; not on one of them. Errors: as VfioFunction::open()
  /// and bdev::NvmeDevice::make(), and the controller's, with the address; kDenied (no IOMMU, and not allowed). The block device is destroyed on the home
  /// reactor.
  Result<std::unique_ptr<bdev::Bdev>> make_device(const Wanted& wanted);
  bool has_devices() const { return !devices_.empty(); }
  Reactor& home() const { return rooms_.front().reactor; }
  /// Shuts every device down, so that what was acknowledged lasts. Requires: the reactors run; the devices made are gone. False: one was not done after
  /// 15 seconds, and may still use what is the engine's: the process is to end without destroying it.
  bool stop();

 private:
  /// kGone: only the function is left, and is to be closed.
  enum class State : uint8_t { kAway, kComing, kHere, kGoing, kGone };
  struct Device {
    std::string address;
    bool allows_no_iommu;
    // The home reactor's, but that the function is opened and closed by others.
    std::unique_ptr<VfioFunction> function;
    std::unique_ptr<nvme::Controller> controller;
    std::unique_ptr<bdev::NvmeDevice> place;
    bool is_used = false;               // place has the controller
    State state = State::kAway;         // under mutex_
    // The thread's:
    std::chrono::steady_clock::time_point next_try{};
    std::chrono::seconds pause{};       // before the try after that
    std::string last_error;             // of coming back: it is logged once
  };

  Result<Device*> find_or_make(const Wanted& wanted);
  std::unique_ptr<Device> make(const NvmeDevice& found, bool allows_no_iommu);
  Result<VfioContainer*> container_for(const NvmeDevice& found);
  Result<std::unique_ptr<VfioFunction>> open(const Device& device);
  Result<void> bring_up(Device& device);
  void close(Device& device);
  // On the home reactor:
  void start(Device& device, std::move_only_function<void(Result<void>)> done);
  void abandon(Device& device, Error why, std::move_only_function<void(Result<void>)> done);
  void let_go(Device& device);
  void stop_controller(Device& device, std::move_only_function<void()> done);
  // On the thread:
  void run();
  Device* find(State state);
  bool is_over();
  void try_to_bring_back(Device& device);

  void set_state(Device& device, State state);

  std::vector<VfioFunction::Room> rooms_;
  MemorySource& memory_;
  std::vector<std::span<std::byte>> pools_;
  Log& log_;
  std::map<Isolation, std::unique_ptr<VfioContainer>> containers_;  // each with its first device; under mutex_
  std::vector<std::unique_ptr<Device>> devices_;
  std::mutex mutex_;
  std::condition_variable changed_;  // of a device's state, or is_stopping_
  bool is_stopping_ = false;
  std::thread thread_;  // with the first device
};

}  // namespace weft::platform
