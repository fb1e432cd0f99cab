// The PCI seam: one function of one device, as a driver sees it: registers, memory that both reach, the order between them, interrupts, and a way
// to stop it. Thin and cold: on the data path there is one publish() and one or two write32() to a cycle, and one observe() to a batch of
// completions. Real side: VFIO; the simulator's is sim/nvme_function.h. Whoever makes a Function owns it and outlives all who use it.
//
// Queue memory crosses to the device only at publish(), and from it only at observe(): what is written is not seen there before the one, and what
// it has written is not to be believed here before the other. On x86-64, where stores are not reordered with stores nor loads with loads, and
// a doorbell is uncached, both only hold the compiler; the simulator lets what was not published stay unseen, and fills in completions late.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "pci/dma_map.h"

namespace weft {
class Reactor;
}

namespace weft::pci {

/// Memory as we and as the device address it.
struct DmaMemory {
  std::span<std::byte> bytes;
  uint64_t iova = 0;  // of its first byte; contiguous
};

class Function {
 public:
  virtual ~Function() = default;
  /// Where it is, for messages: "0000:01:00.0".
  virtual std::string_view name() const = 0;

  // --- registers of BAR 0, any thread ------------------------------------------------------------------------------------
  virtual size_t register_bytes() const = 0;
  /// Of a device that has gone, all ones. Requires: a multiple of 4 below register_bytes().
  virtual uint32_t read32(uint32_t offset) = 0;
  /// Not reordered with other writes of this thread. To a device that has gone: nothing happens.
  virtual void write32(uint32_t offset, uint32_t value) = 0;

  // --- memory, any thread, not on the data path --------------------------------------------------------------------------
  /// Zeroed, pinned, 4 KiB aligned in both address spaces. Errors: kLimit with what to change.
  virtual Result<DmaMemory> allocate(size_t bytes, std::string_view what) = 0;
  /// Requires: the device does not use it any more.
  virtual void free(const DmaMemory& memory) = 0;
  /// All memory for data that the device reaches. Does not change while anybody has a queue.
  virtual const DmaMap& map() const = 0;

  // --- order, any thread, about what that thread has written and will read -----------------------------------------------
  /// Everything read and written before is done, and what was written can be seen by the device, before any write32() that follows.
  virtual void publish() = 0;
  /// What the device wrote before what has been read is read by the reads that follow.
  virtual void observe() = 0;
  /// Both, and no read that follows is done before a write that comes before (on x86-64 the one real fence).
  virtual void fence() = 0;

  // --- interrupts --------------------------------------------------------------------------------------------------------
  /// An interrupt vector of its own for `reactor`, on which the caller runs; the lowest that is free, so the first is 0. Errors: kLimit.
  virtual Result<uint16_t> open_vector(Reactor& reactor) = 0;
  virtual void close_vector(uint16_t vector) = 0;
  /// The next interrupt of `vector` wakes its reactor, once. One that came before this call may not: look at the queue after it.
  virtual void arm(uint16_t vector) = 0;

  // --- the end -----------------------------------------------------------------------------------------------------------
  /// The device reaches no memory when this returns, whatever state it is in (bus mastering off, function level reset). Afterwards it may be
  /// brought up anew, as after power on.
  virtual void isolate() = 0;
};

/// Owns memory of allocate().
class DmaBuffer {
 public:
  static Result<DmaBuffer> allocate(Function& function, size_t bytes, std::string_view what);
  DmaBuffer() = default;
  DmaBuffer(DmaBuffer&& other) noexcept : function_(std::exchange(other.function_, nullptr)), memory_(std::exchange(other.memory_, {})) {}
  DmaBuffer& operator=(DmaBuffer&& other) noexcept {
    std::swap(function_, other.function_);
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~DmaBuffer() {
    if (function_ != nullptr) function_->free(memory_);
  }

  std::span<std::byte> bytes() const { return memory_.bytes; }
  uint64_t iova() const { return memory_.iova; }
  /// Requires: the part lies inside.
  DmaMemory part(size_t offset, size_t size) const { return {memory_.bytes.subspan(offset, size), memory_.iova + offset}; }

 private:
  DmaBuffer(Function& function, const DmaMemory& memory) : function_(&function), memory_(memory) {}
  Function* function_ = nullptr;
  DmaMemory memory_;
};

inline Result<DmaBuffer> DmaBuffer::allocate(Function& function, size_t bytes, std::string_view what) {
  auto memory = function.allocate(bytes, what);
  if (!memory) return std::unexpected(memory.error());
  return DmaBuffer{function, *memory};
}

}  // namespace weft::pci
