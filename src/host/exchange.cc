#include "host/exchange.h"

#include <fmt/format.h>

#include "base/simulation.h"

namespace weft::host {

void Exchange::on_timeout() {
  WEFT_PROBE("host/command-unanswered");
  // The queue is of no use any more: the controller may still write into our buffer as long as it lives. Its end completes the command.
  queue_.close(Error{Errc::kTimedOut, fmt::format("no answer to {} within {} ms", what_, timeout_.milliseconds())});
}

}  // namespace weft::host
