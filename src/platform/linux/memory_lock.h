// How much memory this process may lock: RDMA devices reach only what is locked.
#pragma once
#include <cstddef>

#include "base/error.h"

namespace weft::platform {

/// Whether so many bytes may be locked beside those that are. Errors: kLimit, with the numbers and the cure.
Result<void> check_memory_lock(size_t bytes, size_t locked_bytes);

}  // namespace weft::platform
