// A medium in memory for tests: what it does next can be scripted (short transfers, errors, kinds it does not know), and it misbehaves in no
// other way. Its contents outlive it. Completes in its queue's next poll().
#pragma once
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "core/reactor.h"
#include "media/media.h"

namespace weft::media {

/// What a MemoryMedium is told to do, and what it has seen. Outlives the medium.
struct MemoryScript {
  std::vector<std::byte> bytes;
  Alignment alignment{};
  Lengths lengths{};
  nvme::Status status{};                    // of the next operation, which fails by it
  std::deque<int32_t> results;              // for the next operations: < 0 an errno, > 0 at most so many bytes, 0 end of file
  std::array<bool, 7> is_unsupported{};     // by Kind: -EOPNOTSUPP
  bool has_vanished = false;
  bool zeroes_on_discard = true;
  std::vector<Kind> seen;                   // every operation, in the order of execution
  uint32_t length_max = 0;                  // the longest one
};

class MemoryQueue final : public Poller {
 public:
  MemoryQueue(Reactor& reactor, MemoryScript& script) : reactor_(reactor), script_(script) { reactor.add(*this); }
  ~MemoryQueue() override { poller_link.unlink(); }

  void submit(Operation& operation) {
    submitted_.push_back(operation);
    reactor_.clock().wake();
  }
  bool has_vanished() { return script_.has_vanished; }

  size_t poll() override {
    size_t count = 0;
    for (Operation* operation = submitted_.front(); operation != nullptr && count < kPollMax; operation = submitted_.front()) {
      operation->link.unlink();
      operation->owner->operation_done(*operation, execute(*operation));
      ++count;
    }
    return count;
  }

 private:
  static constexpr size_t kPollMax = 64;

  int32_t execute(Operation& operation) {
    script_.seen.push_back(operation.kind);
    script_.length_max = std::max(script_.length_max, operation.length);
    if (script_.is_unsupported[size_t(operation.kind)]) return -EOPNOTSUPP;
    if (!script_.status.ok()) {
      operation.status = std::exchange(script_.status, {});
      return -EIO;
    }
    uint32_t length = operation.length;
    if (!script_.results.empty()) {
      const int32_t result = script_.results.front();
      script_.results.pop_front();
      if (result <= 0) return result;
      length = std::min(length, uint32_t(result));
    }
    const bool moves_data = operation.kind == Kind::kRead || operation.kind == Kind::kWrite || operation.kind == Kind::kWriteStable;
    if (moves_data && !is_aligned(operation)) return -EINVAL;
    std::byte* bytes = script_.bytes.data() + operation.offset;
    switch (operation.kind) {
      case Kind::kRead: std::memcpy(operation.data, bytes, length); return int32_t(length);
      case Kind::kWrite:
      case Kind::kWriteStable: std::memcpy(bytes, operation.data, length); return int32_t(length);
      case Kind::kSync: return 0;
      case Kind::kDiscard:
        if (!script_.zeroes_on_discard) return 0;
        [[fallthrough]];
      case Kind::kZero:
      case Kind::kZeroDeallocate: std::memset(bytes, 0, operation.length); return 0;
    }
    return -EINVAL;
  }
  bool is_aligned(const Operation& operation) const {
    return reinterpret_cast<uintptr_t>(operation.data) % script_.alignment.memory == 0 &&
           operation.offset % script_.alignment.offset == 0 && operation.length % script_.alignment.offset == 0;
  }

  Reactor& reactor_;
  MemoryScript& script_;
  IntrusiveList<Operation, &Operation::link> submitted_;
};

class MemoryMedium {
 public:
  using Queue = MemoryQueue;
  explicit MemoryMedium(MemoryScript& script) : script_(script) {}
  Alignment alignment() const { return script_.alignment; }
  Lengths lengths() const { return script_.lengths; }
  Result<uint64_t> size_bytes() const { return script_.bytes.size(); }
  Result<std::unique_ptr<Queue>> open_queue(Reactor& reactor) { return std::make_unique<MemoryQueue>(reactor, script_); }

 private:
  MemoryScript& script_;
};
static_assert(SizedMedium<MemoryMedium> && LimitedMedium<MemoryMedium>);

}  // namespace weft::media
