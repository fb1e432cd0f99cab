// A configuration file (TOML 1.0) as a Config. The keys are in config_keys.h and described in docs/configuration.md.
#pragma once
#include "control/config.h"
#include "control/problem.h"

#include <cstddef>
#include <string_view>

namespace weft::control {

inline constexpr size_t kConfigBytesMax = 1 << 20;  // of one file

/// The configuration that `text` describes, valid and with every NSID given. On failure: every problem, in the order of
/// the text; a text that is not TOML has only the first one.
Checked<Config> parse_config(std::string_view text);

}  // namespace weft::control
