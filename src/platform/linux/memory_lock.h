// How much memory this process may lock: devices that move data by themselves reach only what is locked.
#pragma once
#include <cstddef>
#include <string_view>

#include "base/error.h"

namespace weft::platform {

/// Whether `who` ("RDMA") may lock so many bytes beside those that it has. Errors: kLimit, with the numbers and the cure.
Result<void> check_memory_lock(std::string_view who, size_t bytes, size_t locked_bytes);

}  // namespace weft::platform
