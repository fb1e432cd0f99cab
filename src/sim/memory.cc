#include "sim/memory.h"

#include "base/assert.h"

#include <cstdlib>
#include <fmt/format.h>

namespace weft::sim {

Result<Region> Memory::map(size_t size, std::string_view what) {
  constexpr size_t kPage = 4096;
  if (requests_++ == refused_) return fail(Errc::kLimit, fmt::format("{}: no memory for {} bytes", what, size));
  const size_t rounded = (size + kPage - 1) / kPage * kPage;
  // calloc takes large requests from the system as zeroes, touched when used, which most of a target's memory never is.
  auto* whole = static_cast<std::byte*>(std::calloc(rounded + kPage, 1));
  WEFT_ASSERT(whole != nullptr);
  auto* bytes = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(whole) + kPage - 1) / kPage * kPage);
  regions_.emplace(bytes, Mapping{whole, rounded});
  mapped_bytes_ += rounded;
  return Region{*this, {bytes, rounded}};
}

void Memory::unmap(std::span<std::byte> bytes) {
  const auto found = regions_.find(bytes.data());
  WEFT_ASSERT(found != regions_.end());
  std::free(found->second.allocation);
  regions_.erase(found);
  mapped_bytes_ -= bytes.size();
}

std::vector<std::span<std::byte>> Memory::regions() const {
  std::vector<std::span<std::byte>> all;
  for (const auto& [bytes, mapping] : regions_) all.emplace_back(bytes, mapping.size);
  return all;
}

void Memory::release_all() {
  for (const auto& [bytes, mapping] : regions_) std::free(mapping.allocation);
  regions_.clear();
  mapped_bytes_ = 0;
}

}  // namespace weft::sim
