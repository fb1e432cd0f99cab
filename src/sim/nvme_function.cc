#include "sim/nvme_function.h"

#include "base/assert.h"
#include "base/bits.h"
#include "core/reactor.h"

#include <algorithm>
#include <cstring>

namespace weft::sim {
namespace {

constexpr size_t kPage = 4096;

bool holds(const pci::DmaMemory& memory, uint64_t iova, size_t size) {
  return iova >= memory.iova && size <= memory.bytes.size() && iova - memory.iova <= memory.bytes.size() - size;
}

}  // namespace

NvmeFunction::NvmeFunction(NvmeDevice& device, Prng random)
    : device_(device), random_(random), iova_end_((1 + random_.below(1 << 20)) * kPage) {
  device.attach(*this);
}

NvmeFunction::~NvmeFunction() {
  WEFT_ASSERT(allocations_.empty());
  device_.detach();
}

/// With a gap before it, so that what runs over the end of one region is in none.
uint64_t NvmeFunction::next_iova(size_t bytes) {
  const uint64_t iova = iova_end_ + (1 + random_.below(16)) * kPage;
  iova_end_ = iova + align_up(bytes, kPage);
  return iova;
}

void NvmeFunction::map_data(std::span<std::byte> bytes) {
  // As in its own address space, a page's offset is the same on both sides.
  const uint64_t offset = reinterpret_cast<uintptr_t>(bytes.data()) % kPage;
  data_.add(bytes, next_iova(bytes.size() + offset) + offset);
}

Result<pci::DmaMemory> NvmeFunction::allocate(size_t bytes, std::string_view) {
  auto allocation = std::make_unique<Allocation>();
  allocation->storage.resize(bytes + kPage);
  const auto address = reinterpret_cast<uintptr_t>(allocation->storage.data());
  allocation->memory = {std::span(allocation->storage).subspan(align_up(address, kPage) - address, bytes), next_iova(bytes)};
  if (bytes <= kPublishedBytesMax) allocation->published.resize(bytes);
  const pci::DmaMemory memory = allocation->memory;
  allocations_.push_back(std::move(allocation));
  return memory;
}

void NvmeFunction::free(const pci::DmaMemory& memory) {
  std::erase_if(hidden_, [&](const Hidden& write) { return holds(memory, write.iova, write.bytes.size()); });
  const size_t erased = std::erase_if(allocations_, [&](const auto& each) { return each->memory.iova == memory.iova; });
  WEFT_ASSERT(erased == 1);
}

void NvmeFunction::publish() {
  for (const auto& allocation : allocations_) std::ranges::copy(allocation->memory.bytes.first(allocation->published.size()), allocation->published.begin());
}

void NvmeFunction::observe() {
  for (const Hidden& write : std::exchange(hidden_, {})) std::ranges::copy(write.bytes, memory(write.iova, write.bytes.size()).begin());
}

void NvmeFunction::fence() {
  publish();
  observe();
}

Result<uint16_t> NvmeFunction::open_vector(Reactor& reactor) {
  auto found = std::ranges::find(vectors_, nullptr, &Vector::reactor);
  if (found == vectors_.end()) found = vectors_.insert(found, Vector{});
  *found = {.reactor = &reactor};
  return uint16_t(found - vectors_.begin());
}

void NvmeFunction::close_vector(uint16_t vector) { vectors_.at(vector) = {}; }

void NvmeFunction::arm(uint16_t vector) { vectors_.at(vector).is_armed = true; }

void NvmeFunction::interrupt(uint16_t vector) {
  if (vector >= vectors_.size() || !std::exchange(vectors_[vector].is_armed, false)) return;
  if (vectors_[vector].reactor != nullptr) vectors_[vector].reactor->clock().wake();
}

void NvmeFunction::isolate() { device_.isolate(); }

const NvmeFunction::Allocation* NvmeFunction::find(uint64_t iova, size_t size) const {
  const auto found = std::ranges::find_if(allocations_, [&](const auto& each) { return holds(each->memory, iova, size); });
  return found == allocations_.end() ? nullptr : found->get();
}

std::span<const std::byte> NvmeFunction::seen(uint64_t iova, size_t size) const {
  const Allocation* allocation = find(iova, size);
  if (allocation == nullptr || allocation->published.empty()) return memory(iova, size);
  return std::span(allocation->published).subspan(iova - allocation->memory.iova, size);
}

std::span<std::byte> NvmeFunction::memory(uint64_t iova, size_t size) const {
  if (const Allocation* allocation = find(iova, size)) return allocation->memory.bytes.subspan(iova - allocation->memory.iova, size);
  return data_.memory(iova, size);
}

void NvmeFunction::write_later(uint64_t iova, std::span<const std::byte> bytes) { hidden_.push_back({iova, {bytes.begin(), bytes.end()}}); }

}  // namespace weft::sim
