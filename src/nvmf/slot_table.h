// The command slots of one queue: one of its own for the Connect, then chunks of 32 from the shard's slab, taken when needed and given back when
// empty. A slot's index is stable while it is taken; index and generation make the transfer tag.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "core/memory.h"
#include "nvmf/command.h"

namespace weft::nvmf {

inline constexpr uint32_t kSlotsPerChunk = 32;
inline constexpr uint32_t kSlotsPerQueueMax = 1024;
// Quarantined commands keep their slots without counting as outstanding, so the index space is twice the queue: 11 bits of a transfer tag; the
// other 5 are the generation.
inline constexpr uint32_t kSlotIndexMax = 2048;

struct SlotChunk {
  std::array<Command, kSlotsPerChunk> commands;
  uint32_t taken = 0;       // bit per slot
  SlotChunk* next = nullptr;  // in the pool
};

/// A shard's chunks, in one lazily touched region; LIFO, so the chunk used last is the next one taken.
class SlotPool {
 public:
  /// Errors: kLimit when the region cannot be mapped.
  static Result<SlotPool> create(MemorySource& source, uint32_t slots_max);
  SlotPool(SlotPool&& other) noexcept;
  ~SlotPool();
  /// Promises room for `slots` commands to a queue. False when the limit is reached: then Connect is answered with Controller Busy.
  bool reserve(uint32_t slots);
  void release(uint32_t slots);
  /// Requires: covered by a reservation.
  SlotChunk* take();
  void give_back(SlotChunk* chunk);
  uint32_t chunks_in_use() const { return chunks_in_use_; }

 private:
  SlotPool(Region region, uint32_t chunks_max) : region_(std::move(region)), chunks_max_(chunks_max) {}
  SlotChunk* chunk(uint32_t index);
  Region region_;
  uint32_t chunks_max_;
  uint32_t chunks_reserved_ = 0;
  uint32_t chunks_built_ = 0;  // constructed so far, from the front of the region
  uint32_t chunks_in_use_ = 0;
  SlotChunk* free_ = nullptr;
};

class SlotTable {
 public:
  /// Room for one command, a Connect, which needs nothing of the pool: whatever others have reserved, a new connection gets an answer.
  explicit SlotTable(SlotPool& pool) : pool_(pool), by_cid_(2, kNoIndex) {}
  /// Requires: no slot is taken.
  ~SlotTable();

  /// Changes the room to `slots` commands, those that are outstanding not counted. False when the pool cannot promise them; then nothing has changed.
  /// What was promised once is kept until the end. Requires: 0 < slots <= kSlotsPerQueueMax.
  bool resize(uint32_t slots);
  uint32_t size() const { return size_; }
  /// Outstanding commands, without quarantined ones.
  uint32_t taken() const { return taken_ - quarantined_; }
  uint32_t quarantined() const { return quarantined_; }

  /// A slot with state kNew and the SQE copied, or null when all are taken. Sets is_duplicate when the CID is outstanding already.
  Command* take(const nvme::Sqe& sqe) {
    if (taken() >= size_) return nullptr;
    if (open_ == nullptr || open_->taken == kAllTaken) {
      if (reserved_ == 0) return begin(first_, kFirstIndex, sqe);
      if (!find_room()) return nullptr;
    }
    const auto slot = uint32_t(std::countr_one(open_->taken));
    open_->taken |= 1u << slot;
    return begin(open_->commands[slot], uint16_t(hint_ * kSlotsPerChunk + slot), sqe);
  }
  void free(Command& command);
  /// The command has been answered, its device has not: the slot stays taken, the CID is free and the command counts as outstanding no more.
  void quarantine(Command& command);
  /// The outstanding command with that CID, or null.
  Command* find(uint16_t cid);
  /// The command of a transfer tag, or null when the slot is free or the generation another.
  Command* find_tag(uint16_t tag);
  static uint16_t tag_of(const Command& command) { return uint16_t(command.index | command.generation << 11); }
  /// Calls f for every command outstanding; f may free the one it is given.
  template <typename F>
  void for_each(F&& f) {
    if (first_.state != CommandState::kFree) f(first_);
    for (SlotChunk* chunk : chunks_) {
      if (chunk == nullptr) continue;
      for (Command& command : chunk->commands) {
        if (command.state != CommandState::kFree) f(command);
      }
    }
  }
  /// Lets go of the chunks that still hold commands: calls f(chunk) for each; they are f's now. Requires: taken() == 0.
  template <typename F>
  void abandon(F&& f) {
    for (SlotChunk*& chunk : chunks_) {
      if (chunk == nullptr) continue;
      f(std::exchange(chunk, nullptr));
    }
    open_ = nullptr;
    taken_ = quarantined_ = 0;
  }

 private:
  static constexpr uint16_t kFirstIndex = kSlotIndexMax - 1;
  static constexpr uint16_t kNoIndex = kSlotIndexMax;
  static constexpr uint32_t kAllTaken = 0xffffffff;
  static_assert(kSlotsPerChunk == 32);
  Command* slot(uint32_t index);
  /// Makes open_ a chunk with a free slot. False: there is none.
  bool find_room();
  Command* begin(Command& command, uint16_t index, const nvme::Sqe& sqe) {
    WEFT_ASSERT(command.state == CommandState::kFree);
    ++taken_;
    command.sqe = sqe;
    command.index = index;
    command.state = CommandState::kNew;
    command.is_duplicate = !insert(command);
    return &command;
  }
  /// False, and nothing has changed, when the CID is another command's.
  bool insert(Command& command) {
    uint16_t& head = by_cid_[chain_of(command.cid())];
    if (head != kNoIndex && find(command.cid()) != nullptr) return false;
    command.next_by_cid = std::exchange(head, command.index);
    return true;
  }
  void erase(Command& command);
  size_t chain_of(uint16_t cid) const { return (cid * 0x9e37u >> 3) & chain_mask_; }

  SlotPool& pool_;
  Command first_;  // until resize(): the only slot
  uint32_t size_ = 1;
  uint32_t reserved_ = 0;  // slots, of the pool
  uint32_t taken_ = 0;     // slots, quarantined ones among them
  uint32_t quarantined_ = 0;
  SlotChunk* open_ = nullptr;  // the chunk that had room last, while it is there
  uint32_t hint_ = 0;          // which one that is, or was
  std::vector<SlotChunk*> chunks_;
  // The first of a chain of commands, indexes of their slots, for each hash value of their CIDs. A power of two, twice as many as commands, so that few
  // chains are longer than one.
  std::vector<uint16_t> by_cid_;
  size_t chain_mask_ = 1;  // of them, less one
};

[[gnu::always_inline]] inline void SlotTable::erase(Command& command) {
  uint16_t* index = &by_cid_[chain_of(command.cid())];
  while (*index != command.index) {
    WEFT_ASSERT(*index != kNoIndex);
    index = &slot(*index)->next_by_cid;
  }
  *index = command.next_by_cid;
}

[[gnu::always_inline]] inline void SlotTable::free(Command& command) {
  if (command.state == CommandState::kQuarantined) {
    --quarantined_;
  } else if (!command.is_duplicate) {
    erase(command);
  }
  command.state = CommandState::kFree;
  command.generation = (command.generation + 1) & 0x1f;
  --taken_;
  if (&command == &first_) return;
  SlotChunk*& chunk = chunks_[command.index / kSlotsPerChunk];
  const uint32_t slot = command.index % kSlotsPerChunk;
  const uint32_t bit = 1u << slot;
  WEFT_ASSERT(&chunk->commands[slot] == &command && (chunk->taken & bit) != 0);
  chunk->taken &= ~bit;
  if (chunk->taken != 0) return;
  if (chunk == open_) open_ = nullptr;
  pool_.give_back(std::exchange(chunk, nullptr));
}

}  // namespace weft::nvmf
