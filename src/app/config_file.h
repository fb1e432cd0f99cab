// A configuration file as a Config, or the lines that say what is wrong with it. Runs on the main thread, before any
// reactor.
#pragma once
#include "control/config.h"

#include <expected>
#include <string>

namespace weft::app {

/// Reads and checks the file at `path`. On failure: one line for each problem, each ending in a newline,
/// "PATH:LINE:COLUMN: …" or, when the file cannot be read, "PATH: …". A file beyond control::kConfigBytesMax is not
/// read further.
std::expected<control::Config, std::string> load_config_file(const std::string& path);

}  // namespace weft::app
