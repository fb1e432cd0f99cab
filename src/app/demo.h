// `weft demo`, what `make run` starts: a target with a RAM and a file namespace in this process, a check of it over TCP by our own host, the line
// that connects a Linux host, then a live status until a signal. Runs on the main thread; the target has threads of its own.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace weft::app {

struct DemoOptions {
  std::string directory = "build/demo";
  std::string listen = "127.0.0.1:4420";
  double check_s = 3;
  bool is_once = false;
};

void add_demo_options(CLI::App& command, DemoOptions& options);

/// Returns the exit code: 0 when the check passed (and, without --once, a signal has ended it); 1 when anything failed, with the reason on
/// stderr; 2 for an address that is none.
int run_demo(const DemoOptions& options);

}  // namespace weft::app
