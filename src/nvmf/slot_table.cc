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
  cids_.reset(std::max(slots, taken_));
  for_each([&](Command& command) {
    if (!command.is_duplicate && command.state != CommandState::kQuarantined) cids_.insert(command.cid(), command.index);
  });
  return true;
}

Command* SlotTable::take(const nvme::Sqe& sqe) {
  if (taken() >= size_) return nullptr;
  return reserved_ == 0 ? begin(first_, kFirstIndex, sqe) : take_in_chunk(sqe);
}

Command* SlotTable::begin(Command& command, uint16_t index, const nvme::Sqe& sqe) {
  WEFT_ASSERT(command.state == CommandState::kFree);
  ++taken_;
  command.sqe = sqe;
  command.index = index;
  command.state = CommandState::kNew;
  command.is_duplicate = cids_.find(sqe.cid) != CidMap::kNone;
  if (!command.is_duplicate) cids_.insert(sqe.cid, index);
  return &command;
}

Command* SlotTable::take_in_chunk(const nvme::Sqe& sqe) {
  const uint32_t in_chunks = taken_ - (first_.state != CommandState::kFree ? 1 : 0);
  if (in_chunks == chunks_.size() * kSlotsPerChunk) {  // quarantined commands take up room
    WEFT_PROBE("nvmf/slots-beside-quarantine");
    if (chunks_.size() == kChunksMax) return nullptr;
    chunks_.push_back(nullptr);
  }
  const auto chunk_count = uint32_t(chunks_.size());
  for (uint32_t i = 0; i < chunk_count; ++i) {
    const uint32_t which = hint_ + i < chunk_count ? hint_ + i : hint_ + i - chunk_count;
    SlotChunk*& chunk = chunks_[which];
    if (chunk == nullptr && (chunk = pool_.take()) == nullptr) return nullptr;
    const auto slot = uint32_t(std::countr_one(chunk->taken));
    if (slot == kSlotsPerChunk) continue;
    hint_ = which;
    chunk->taken |= 1u << slot;
    return begin(chunk->commands[slot], uint16_t(which * kSlotsPerChunk + slot), sqe);
  }
  WEFT_ASSERT(!"a table that is not full has a free slot");
  return nullptr;
}

void SlotTable::quarantine(Command& command) {
  WEFT_ASSERT(&command != &first_);  // a Connect is in no device
  if (!command.is_duplicate) cids_.erase(command.cid());
  command.state = CommandState::kQuarantined;
  ++quarantined_;
}

void SlotTable::free(Command& command) {
  WEFT_ASSERT(slot(command.index) == &command);
  if (command.state == CommandState::kQuarantined) {
    --quarantined_;
  } else if (!command.is_duplicate) {
    cids_.erase(command.cid());
  }
  command.state = CommandState::kFree;
  command.generation = (command.generation + 1) & 0x1f;
  --taken_;
  if (&command == &first_) return;
  SlotChunk*& chunk = chunks_[command.index / kSlotsPerChunk];
  const uint32_t bit = 1u << (command.index % kSlotsPerChunk);
  WEFT_ASSERT((chunk->taken & bit) != 0);
  chunk->taken &= ~bit;
  if (chunk->taken == 0) pool_.give_back(std::exchange(chunk, nullptr));
}

Command* SlotTable::slot(uint32_t index) {
  if (index == kFirstIndex) return &first_;
  if (index >= chunks_.size() * kSlotsPerChunk || chunks_[index / kSlotsPerChunk] == nullptr) return nullptr;
  return &chunks_[index / kSlotsPerChunk]->commands[index % kSlotsPerChunk];
}

Command* SlotTable::find(uint16_t cid) {
  const uint16_t index = cids_.find(cid);
  return index == CidMap::kNone ? nullptr : slot(index);
}

Command* SlotTable::find_tag(uint16_t tag) {
  Command* command = slot(tag & (kSlotIndexMax - 1));
  return command != nullptr && command->state != CommandState::kFree && command->generation == tag >> 11 ? command : nullptr;
}

}  // namespace weft::nvmf
