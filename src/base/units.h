// Sizes as people write them: "512", "4KiB", "1GiB", "8G". Powers of two only; "8GB" is refused, because it would be ambiguous.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace weft {

/// Bytes. Suffixes K, M, G, T and KiB, MiB, GiB, TiB (any case). Errors: kInvalid, with the text that was not understood.
Result<uint64_t> parse_size(std::string_view text);

/// "1 GiB", "4 KiB", "1.5 MiB", "512 B".
std::string format_size(uint64_t bytes);

}  // namespace weft
