// A PCI function through VFIO: pci/function.h on Linux. What blocks (opening, resetting) is done where the owner calls it, not on the data path;
// registers are memory that is mapped here.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "pci/function.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/nvme_devices.h"
#include "platform/linux/vfio_container.h"

namespace weft::platform {

class VfioFunction final : public pci::Function {
 public:
  /// Where interrupts of a reactor arrive.
  struct Room {
    Reactor& reactor;
    EventLoop& loop;
  };
  /// Any thread; the kernel resets the device, which takes its time. Outlives: container, rooms and their loops outlive the function. Errors: as
  /// VfioContainer::open_device(), kDenied (VFIO does not have it), kUnsupported (no registers that can be mapped, no MSI-X).
  static Result<std::unique_ptr<VfioFunction>> open(VfioContainer& container, const NvmeDevice& device, std::vector<Room> rooms);
  /// Any thread. Requires: what was allocated is freed, vectors are closed, leaving is ignored. The device stays VFIO's, and is reset.
  ~VfioFunction() override;

  /// On home's reactor: `on_leaving` is called there, again and again, while the kernel wants to take the device away: it is to be closed soon, as the
  /// kernel waits for that. Errors: the system's.
  Result<void> watch_leaving(const Room& home, std::move_only_function<void()> on_leaving);
  /// Where it was watched; a no-op if it was not.
  void ignore_leaving();

  std::string_view name() const override { return name_; }
  size_t register_bytes() const override { return registers_.size(); }
  uint32_t read32(uint32_t offset) override { return *at(offset); }
  void write32(uint32_t offset, uint32_t value) override { *at(offset) = value; }

  Result<pci::DmaMemory> allocate(size_t bytes, std::string_view what) override { return container_.allocate(bytes, what); }
  void free(const pci::DmaMemory& memory) override { container_.free(memory); }
  const pci::DmaMap& map() const override { return container_.map(); }

  // Loads are not reordered with loads on x86-64, nor stores with stores, and registers are uncached: the compiler is all that is to be held.
  void publish() override { std::atomic_signal_fence(std::memory_order_release); }
  void observe() override { std::atomic_signal_fence(std::memory_order_acquire); }
  void fence() override { std::atomic_thread_fence(std::memory_order_seq_cst); }

  Result<uint16_t> open_vector(Reactor& reactor) override;
  void close_vector(uint16_t vector) override;
  void arm(uint16_t vector) override { mask(vector, false); }

  void isolate() override;

 private:
  /// An interrupt and who sleeps on it.
  struct Vector final : FdHandler {
    Vector(VfioFunction& f, uint16_t n, UniqueFd e) : function(f), number(n), event(std::move(e)) {}
    void on_events(uint32_t epoll_events) override;
    VfioFunction& function;
    uint16_t number;
    UniqueFd event;
    EventLoop* loop = nullptr;  // whose; null: free
  };
  /// The kernel's wish to have the device back.
  struct Leaving final : FdHandler {
    void on_events(uint32_t epoll_events) override;
    UniqueFd event;
    EventLoop* loop = nullptr;
    std::move_only_function<void()> told;
  };

  VfioFunction(VfioContainer& container, const NvmeDevice& device, std::vector<Room> rooms);
  Result<void> set_up();
  Result<std::span<std::byte>> map_region(uint32_t index);
  Result<void> set_up_interrupts();
  Result<void> set_interrupts(uint32_t index, std::span<const int> events);
  uint64_t config_offset() const;
  Result<void> set_bus_master(bool is_on);
  void mask(uint16_t vector, bool is_masked);
  volatile uint32_t* at(size_t offset) const { return reinterpret_cast<volatile uint32_t*>(registers_.data() + offset); }

  VfioContainer& container_;
  std::string name_;
  uint32_t group_;
  std::vector<Room> rooms_;
  UniqueFd device_;
  std::span<std::byte> registers_;     // BAR 0
  std::span<std::byte> vector_region_;  // another BAR, where the MSI-X table is not in BAR 0
  std::span<std::byte> vector_table_;   // MSI-X
  std::mutex mutex_;                   // of vectors_' owners
  std::vector<std::unique_ptr<Vector>> vectors_;
  Leaving leaving_;
};

}  // namespace weft::platform
