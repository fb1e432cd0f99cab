// One doorbell of a queue: a register, or while the device takes shadow doorbells a place in memory, with the register only when the device
// asks for it. NVMe over PCIe Transport 1.0 §3.1.1; NVMe Base 2.0 §B.5 (shadow doorbells and EventIdx).
#pragma once
#include <cstdint>

#include "base/endian.h"
#include "pci/function.h"
#include "wire/nvme/pcie_registers.h"

namespace weft::nvme {

/// The two buffers of Doorbell Buffer Config, each a page, in the layout of the doorbells. Empty: the device has none.
struct ShadowDoorbells {
  std::span<std::byte> values;  // ours
  std::span<std::byte> events;  // EventIdx: the device's
};

class Doorbell {
 public:
  /// `offset` is from the first doorbell. Outlives: `function` and the shadows outlive the doorbell.
  Doorbell(pci::Function& function, uint32_t offset, const ShadowDoorbells& shadows)
      : function_(function),
        offset_(offset),
        shadow_(place(shadows.values, offset)),
        event_(place(shadows.events, offset)) {
    reset();
  }

  /// Tells the device the queue's new index. Requires: publish() since what the index stands for was written or read.
  void ring(uint16_t index);
  /// The queue will be created, or created again, and begins at 0, also in the buffers, where an older one may have left its index.
  /// Requires: the device does not use the queue.
  void reset();
  /// How often the register was written.
  uint64_t rings() const { return rings_; }

 private:
  // Each access is one load or store of the memory that a device reads and writes, hence volatile.
  using Place = volatile uint32_t*;
  static Place place(std::span<std::byte> buffer, uint32_t offset) {
    return offset + sizeof(uint32_t) <= buffer.size() ? reinterpret_cast<Place>(buffer.data() + offset) : nullptr;
  }

  pci::Function& function_;
  uint32_t offset_;
  uint16_t last_ = 0;
  Place shadow_;
  Place event_;
  uint64_t rings_ = 0;
};

/// Whether an index that goes from `last` to `next` passes `event`: the device has asked to be told when it leaves that.
constexpr bool passes_event(uint16_t event, uint16_t last, uint16_t next) { return uint16_t(next - event - 1) < uint16_t(next - last); }

}  // namespace weft::nvme
