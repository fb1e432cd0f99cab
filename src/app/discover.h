// `weft discover`: what a discovery service lists for this host.
#pragma once
#include <CLI/CLI.hpp>

#include "app/host_options.h"
#include "host/discovery.h"

namespace weft::app {

/// Adds the flags, help and examples. Outlives the parse: `options`.
void add_discover_options(CLI::App& command, HostOptions& options);

/// Prints the log on stdout. Returns the exit code: 0, or 1 with the reason on stderr.
int run_discover(const HostOptions& options);

/// Connects to the discovery service of `options` (its -n, or the well-known NQN), reads the log and disconnects.
Task<Result<host::DiscoveryLog>> discover(Reactor& reactor, host::Transport& transport, HostOptions options);

}  // namespace weft::app
