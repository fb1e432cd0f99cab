// For tests of queues: a function that is nothing but memory and a list of what was done to it, and a device's hand on the queues. Not part of any
// library.
#pragma once
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "nvme/queue_pair.h"

namespace weft::nvme::testing_support {

class PlainFunction final : public pci::Function {
 public:
  static constexpr uint64_t kIovaOffset = uint64_t{1} << 50;  // what the device adds to every address

  std::string_view name() const override { return "plain"; }
  size_t register_bytes() const override { return 0x2000; }
  uint32_t read32(uint32_t) override { return 0; }
  void write32(uint32_t offset, uint32_t value) override {
    log += fmt::format("w{:x}={} ", offset, value);
    last[offset] = value;
  }
  Result<pci::DmaMemory> allocate(size_t bytes, std::string_view) override {
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(kPageBytes, align_up(bytes, kPageBytes)));
    std::memset(memory, 0, bytes);
    return pci::DmaMemory{{memory, bytes}, reinterpret_cast<uint64_t>(memory) + kIovaOffset};
  }
  void free(const pci::DmaMemory& memory) override { std::free(memory.bytes.data()); }
  const pci::DmaMap& map() const override { return map_; }
  void publish() override { log += "publish "; }
  void observe() override { log += "observe "; }
  void fence() override { log += "fence "; }
  Result<uint16_t> open_vector(Reactor&) override { return uint16_t{0}; }
  void close_vector(uint16_t) override {}
  void arm(uint16_t) override { log += "arm "; }
  void isolate() override {}

  /// Everything done since the last time.
  std::string take_log() { return std::exchange(log, {}); }
  std::string log;
  std::map<uint32_t, uint32_t> last;  // by offset: what was written

 private:
  pci::DmaMap map_;
};

/// A queue pair with the device's side of it.
struct TestPair {
  explicit TestPair(uint32_t entries, const ShadowDoorbells& shadows = {})
      : pair(function, {.qid = kQid, .entries = entries}, *pci::DmaBuffer::allocate(function, QueuePair::memory_bytes(entries), ""), shadows) {}
  ~TestPair() { pair.end_all(); }

  /// A command whose end is noted in `ended`.
  QueuePair::Slot begin(Instant deadline = Instant::never()) {
    return pair.begin({[](void* owner, uint64_t tag, const Completion& completion) {
                         auto& text = static_cast<TestPair*>(owner)->ended;
                         text += completion.is_answered ? fmt::format("{}:{} ", tag, int(completion.status.sc())) : fmt::format("{}:none ", tag);
                       },
                       this, next_tag++},
                      deadline);
  }
  const Sqe& entry(uint32_t index) const { return reinterpret_cast<const Sqe*>(pair.sq_iova() - PlainFunction::kIovaOffset)[index]; }
  /// The device completes a command.
  void complete(uint16_t cid, uint16_t sqhd, Status status = {}, uint16_t sqid = kQid) {
    const uint32_t entries = pair.entries();
    Cqe& cqe = reinterpret_cast<Cqe*>(pair.cq_iova() - PlainFunction::kIovaOffset)[posted % entries];
    const bool phase = posted / entries % 2 == 0;
    cqe = {.dw0 = 0, .dw1 = 0, .sqhd = sqhd, .sqid = sqid, .cid = cid, .status = uint16_t(status.to_cqe() | (phase ? 1 : 0))};
    ++posted;
  }
  std::string take_ended() { return std::exchange(ended, {}); }

  static constexpr uint16_t kQid = 3;
  PlainFunction function;
  QueuePair pair;
  std::string ended;
  uint64_t next_tag = 0;
  uint32_t posted = 0;
};

}  // namespace weft::nvme::testing_support
