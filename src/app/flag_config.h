// The flags of `weft serve`, in their order, as a configuration.
#pragma once
#include "app/serve_options.h"
#include "control/config.h"
#include "control/problem.h"

#include <span>

namespace weft::app {

/// A valid configuration with every NSID given. On failure: every problem; each names its flag. The first --subsystem
/// names the first subsystem wherever it stands; each further one begins another.
control::Checked<control::Config> config_from_flags(std::span<const FlagUse> flags);

}  // namespace weft::app
