// `weft connect-line`: the nvme-cli command that connects a Linux host, for one subsystem or for all that a target lists.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

#include "app/host_options.h"

namespace weft::app {

void add_connect_line_options(CLI::App& command, HostOptions& options);

/// Prints one line per subsystem on stdout; with -n, that one's without asking the target. Returns the exit code: 0, or 1 with the reason on stderr.
int run_connect_line(const HostOptions& options);

struct ConnectTarget {
  fabrics::Trtype transport;
  std::string_view address;
  std::string_view service;
  std::string_view subnqn;
  std::string_view hostnqn;  // empty: the host's own
  std::string_view host_address = {};  // empty: the system's choice
};

/// "nvme connect -t TRANSPORT -a … -s … -n …", quoted for a shell where that is needed.
std::string connect_line(const ConnectTarget& target);

}  // namespace weft::app
