// Whether somebody watches.
#pragma once

namespace weft::platform {

/// True when standard error is a terminal.
bool is_stderr_terminal();

}  // namespace weft::platform
