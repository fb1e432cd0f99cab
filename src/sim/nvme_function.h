// A process's way to a simulated NVMe controller: the PCI seam (pci/function.h) on sim/nvme_device.h, so that the production driver runs unchanged.
// Memory is what makes it more than plain memory: the device sees what the process allocated here as of the last publish(); of a completion it may
// show the phase bit first and fill in the rest at observe(); and an address that is not mapped at the time it is used is a finding ("nvme-dma").
// Addresses of the device's side are drawn, so that one taken for the other does not work by chance. Dies with its process, or is buried.
#pragma once
#include "base/prng.h"
#include "core/memory.h"
#include "pci/function.h"
#include "sim/nvme_device.h"

#include <deque>
#include <memory>
#include <vector>

namespace weft::sim {

class NvmeFunction final : public pci::Function {
 public:
  /// Attaches to the device, as it is. Outlives: the device outlives the function.
  NvmeFunction(NvmeDevice& device, Prng random);
  /// Detaches, and lets the device forget everything, as the kernel does when a process closes it. Requires: everything allocated was freed.
  ~NvmeFunction() override;

  /// Memory for data, mapped until the end. Not while a queue is in use.
  void map_data(std::span<std::byte> bytes);

  // pci::Function.
  std::string_view name() const override { return device_.shape().name; }
  size_t register_bytes() const override { return NvmeDevice::kRegisterBytes; }
  uint32_t read32(uint32_t offset) override { return device_.read32(offset); }
  void write32(uint32_t offset, uint32_t value) override { device_.write32(offset, value); }
  Result<pci::DmaMemory> allocate(size_t bytes, std::string_view what) override;
  void free(const pci::DmaMemory& memory) override;
  const pci::DmaMap& map() const override { return data_; }
  void publish() override;
  void observe() override;
  void fence() override;
  Result<uint16_t> open_vector(Reactor& reactor) override;
  void close_vector(uint16_t vector) override;
  void arm(uint16_t vector) override;
  void isolate() override;

  // --- for the device ----------------------------------------------------------------------------------------------------
  /// What it reads at `iova`: of allocated memory as of the last publish(). Empty: nothing is mapped there.
  std::span<const std::byte> seen(uint64_t iova, size_t size) const;
  /// The memory itself. Empty: nothing is mapped there.
  std::span<std::byte> memory(uint64_t iova, size_t size) const;
  /// Writes it, visible when the process observes next.
  void write_later(uint64_t iova, std::span<const std::byte> bytes);
  void interrupt(uint16_t vector);

 private:
  // Larger allocations are for data, not for queues: the device sees them as they are, and no publish() copies them.
  static constexpr size_t kPublishedBytesMax = 1'100'000;
  struct Allocation {
    std::vector<std::byte> storage;
    pci::DmaMemory memory;
    std::vector<std::byte> published;  // empty: see above
  };
  struct Hidden {
    uint64_t iova;
    std::vector<std::byte> bytes;
  };
  struct Vector {
    Reactor* reactor = nullptr;  // null: free
    bool is_armed = false;
  };
  uint64_t next_iova(size_t bytes);
  const Allocation* find(uint64_t iova, size_t size) const;

  NvmeDevice& device_;
  Prng random_;
  uint64_t iova_end_;
  std::vector<std::unique_ptr<Allocation>> allocations_;
  pci::DmaMap data_;
  std::vector<Hidden> hidden_;  // written by the device and not yet observed, in its order
  std::vector<Vector> vectors_;
};

}  // namespace weft::sim
