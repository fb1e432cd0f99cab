// Recognises what a disk already holds (file systems, partition tables, volume managers, encryption) by its magic numbers. Bytes in, a name out.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

namespace weft::platform {

/// Fills the span from `offset`; false when the medium cannot be read there.
using ReadAt = std::function<bool(uint64_t offset, std::span<std::byte> target)>;

/// The name of the first known signature on a medium of size_bytes, e.g. "an XFS file system". Places that cannot be read or lie beyond the end
/// are left out. Reads some 64 KiB in all, in sectors of 4 KiB.
std::optional<std::string_view> find_signature(uint64_t size_bytes, const ReadAt& read_at);

}  // namespace weft::platform
