#include "nvmf/slot_table.h"

#include <algorithm>
#include <bit>
#include <new>

#include "base/assert.h"
#include "base/bits.h"
#include "base/simulation.h"

namespace weft::nvmf {
namespace {

constexpr size_t kChunkStride = align_up(sizeof(SlotChunk), 64);  // bytes; chunks start on cache lines
// One less than there are indexes for: the last ones hold the slot that belongs to the table.
constexpr uint32_t kChunksMax = kSlotIndexMax / kSlotsPerChunk - 1;
constexpr uint32_t chunks_for(uint32_t slots) { return (slots + kSlotsPerChunk - 1) / kSlotsPerChunk; }

}  // namespace

Result<SlotPool> SlotPool::create(MemorySource& source, uint32_t slots_max) {
  const uint32_t chunks = chunks_for(slots_max);
  auto region = source.map(chunks * kChunkStride, "command slots");
  if (!region) return std::unexpected(region.error());
  return SlotPool{std::move(*region), chunks};
}

SlotPool::SlotPool(SlotPool&& other) noexcept : region_(std::move(other.region_)), chunks_max_(other.chunks_max_) {
  WEFT_ASSERT(other.chunks_built_ == 0 && other.chunks_reserved_ == 0);  // moved only before it is used
}

SlotPool::~SlotPool() {
  WEFT_ASSERT(chunks_in_use_ == 0);
  for (uint32_t i = 0; i < chunks_built_; ++i) chunk(i)->~SlotChunk();
}

SlotChunk* SlotPool::chunk(uint32_t index) {
  return std::launder(reinterpret_cast<SlotChunk*>(region_.bytes().data() + index * kChunkStride));
}

bool SlotPool::reserve(uint32_t slots) {
  if (chunks_for(slots) > chunks_max_ - chunks_reserved_) return false;
  chunks_reserved_ += chunks_for(slots);
  return true;
}

void SlotPool::release(uint32_t slots) {
  WEFT_ASSERT(chunks_reserved_ >= chunks_for(slots));
  chunks_reserved_ -= chunks_for(slots);
}

SlotChunk* SlotPool::take() {
  ++chunks_in_use_;
  if (free_ != nullptr) return std::exchange(free_, free_->next);
  // Quarantined chunks are outside every reservation, so the region can run out; chunks_max_ bounds both together.
  if (chunks_built_ == chunks_max_) {
    --chunks_in_use_;
    return nullptr;
  }
  return new (region_.bytes().data() + chunks_built_++ * kChunkStride) SlotChunk;
}

void SlotPool::give_back(SlotChunk* chunk) {
  WEFT_ASSERT(chunk->taken == 0 && chunks_in_use_ > 0);
  --chunks_in_use_;
  chunk->next = std::exchange(free_, chunk);
}

SlotTable::~SlotTable() {
  WEFT_ASSERT(taken_ == 0);
  for (const SlotChunk* chunk : chunks_) WEFT_ASSERT(chunk == nullptr);
  pool_.release(reserved_);
}

bool SlotTable::resize(uint32_t slots) {
  WEFT_ASSERT(slots > 0 && slots <= kSlotsPerQueueMax);
  if (chunks_for(slots) > chunks_for(reserved_)) {
    if (!pool_.reserve((chunks_for(slots) - chunks_for(reserved_)) * kSlotsPerChunk)) return false;
    reserved_ = slots;
  }
  size_ = slots;
  if (chunks_.size() < chunks_for(slots)) chunks_.resize(chunks_for(slots));
  by_cid_.assign(2 * std::bit_ceil(size_t{std::max(slots, taken_)}), kNoIndex);
  chain_mask_ = by_cid_.size() - 1;
  for_each([&](Command& command) {
    if (!command.is_duplicate && command.state != CommandState::kQuarantined) WEFT_ASSERT(insert(command));
  });
  return true;
}

bool SlotTable::find_room() {
  const auto chunk_count = uint32_t(chunks_.size());
  for (uint32_t i = 0; i < chunk_count; ++i) {
    SlotChunk*& chunk = chunks_[hint_];
    if (chunk == nullptr && (chunk = pool_.take()) == nullptr) return false;
    open_ = chunk;
    if (chunk->taken != kAllTaken) return true;
    if (++hint_ == chunk_count) hint_ = 0;
  }
  WEFT_PROBE("nvmf/slots-beside-quarantine");  // quarantined commands take up room
  if (chunk_count == kChunksMax) return false;
  SlotChunk* chunk = pool_.take();
  if (chunk == nullptr) return false;
  chunks_.push_back(open_ = chunk);
  hint_ = chunk_count;
  return true;
}

void SlotTable::quarantine(Command& command) {
  WEFT_ASSERT(&command != &first_);  // a Connect is in no device
  if (!command.is_duplicate) erase(command);
  command.state = CommandState::kQuarantined;
  ++quarantined_;
}

Command* SlotTable::slot(uint32_t index) {
  if (index == kFirstIndex) return &first_;
  if (index >= chunks_.size() * kSlotsPerChunk || chunks_[index / kSlotsPerChunk] == nullptr) return nullptr;
  return &chunks_[index / kSlotsPerChunk]->commands[index % kSlotsPerChunk];
}

Command* SlotTable::find(uint16_t cid) {
  for (uint16_t index = by_cid_[chain_of(cid)]; index != kNoIndex;) {
    Command& command = *slot(index);
    if (command.cid() == cid) return &command;
    index = command.next_by_cid;
  }
  return nullptr;
}

Command* SlotTable::find_tag(uint16_t tag) {
  Command* command = slot(tag & (kSlotIndexMax - 1));
  return command != nullptr && command->state != CommandState::kFree && command->generation == tag >> 11 ? command : nullptr;
}

}  // namespace weft::nvmf
