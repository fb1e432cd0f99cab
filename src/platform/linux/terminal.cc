#include "platform/linux/terminal.h"

#include <unistd.h>

namespace weft::platform {

bool is_stderr_terminal() { return isatty(STDERR_FILENO) == 1; }

}  // namespace weft::platform
