#include "verbs/memory_keys.h"

#include <utility>

namespace weft::verbs {

uint32_t MemoryKeys::add(const Entry& entry) {
  entries_.emplace(next_region_, entry);
  return next_region_++;
}

uint32_t MemoryKeys::new_window_key() { return std::exchange(next_window_, next_window_ + 0x100); }

bool MemoryKeys::bind(uint32_t key, const Entry& entry) { return entries_.emplace(key, entry).second; }

std::expected<std::byte*, const char*> MemoryKeys::find(const Use& use) const {
  const auto found = entries_.find(use.key);
  if (found == entries_.end()) {
    // Keys are given in order, so one that is not there was there before.
    const bool was_there = use.key >= 0x100 && use.key < next_region_;
    return std::unexpected(was_there ? "the key is no more" : "there is no such key");
  }
  const Entry& entry = found->second;
  if (entry.domain != use.domain) return std::unexpected("the key is another domain's");
  if (entry.pair != 0 && entry.pair != use.pair) return std::unexpected("the window is another queue pair's");
  if ((entry.access & use.access) != use.access) return std::unexpected("the key does not allow that");
  const auto start = reinterpret_cast<uint64_t>(entry.bytes.data());
  const bool is_inside = use.address >= start && use.size <= entry.bytes.size() && use.address - start <= entry.bytes.size() - use.size;
  if (!is_inside) return std::unexpected("beyond the memory of the key");
  return entry.bytes.data() + (use.address - start);
}

bool MemoryKeys::invalidate(uint32_t key, uint64_t domain, uint32_t pair) {
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second.domain != domain) return false;
  if (found->second.pair != 0 && found->second.pair != pair) return false;
  entries_.erase(found);
  return true;
}

void MemoryKeys::remove_domain(uint64_t domain) {
  std::erase_if(entries_, [=](const auto& entry) { return entry.second.domain == domain; });
}

void MemoryKeys::remove_pair(uint32_t pair) {
  std::erase_if(entries_, [=](const auto& entry) { return entry.second.pair == pair; });
}

}  // namespace weft::verbs
