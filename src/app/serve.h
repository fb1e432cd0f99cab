// `weft serve`: runs the target until a signal ends it.
#pragma once
#include "app/serve_options.h"

namespace weft::app {

/// Prints a `listening` line per listener, then `ready`, on stdout; logs on stderr. Returns the exit code when SIGINT or SIGTERM has ended it
/// (0), or it could not start (1, or 2 for wrong flags). A second signal ends the process at once.
int run_serve(const ServeOptions& options);

/// "tcp 127.0.0.1:4420", "rdma [::1]:4420".
std::string listening_text(const control::Endpoint& endpoint);

}  // namespace weft::app
