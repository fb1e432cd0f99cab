// What makes this machine this machine, and randomness.
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "base/error.h"

namespace weft::platform {

/// Fills `target` from the kernel's random generator. Never fails.
void random_bytes(std::span<std::byte> target);

/// `count` random bytes as lower-case hexadecimal.
std::string random_hex(size_t count);

/// 32 hexadecimal digits that are this machine's for good: of /etc/machine-id, else of the file machine-id in `state_directory`, which is made
/// with a random id when it is missing. Errors: why neither is to be had.
Result<std::string> machine_id(const std::string& state_directory);

/// machine_id() with another place for /etc/machine-id. For tests.
Result<std::string> machine_id_at(const std::string& system_file, const std::string& state_directory);

/// The kernel's name of the host; "localhost" when it has none.
std::string host_name();

}  // namespace weft::platform
