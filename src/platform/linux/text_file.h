// Small text files, as the kernel gives them under /proc and /sys.
#pragma once
#include <string>
#include <string_view>

#include "base/error.h"

namespace weft::platform {

/// The whole file, at most 4 MiB. Errors: the system's, with the path.
Result<std::string> read_text(const std::string& path);

/// The first line of the file without its newline and the spaces around; empty when the file cannot be read.
std::string read_word(const std::string& path);

/// Writes `text` with one call, as the kernel's files want it. Errors: the system's, with the path.
Result<void> write_text(const std::string& path, std::string_view text);

}  // namespace weft::platform
