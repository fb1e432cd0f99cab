// The flags of `weft serve` and the configuration that they, or the file they name, describe. Flags keep their order,
// because those after a second --subsystem belong to it. Runs on the main thread, before any reactor.
#pragma once
#include "control/config.h"

#include <CLI/CLI.hpp>
#include <expected>
#include <string>
#include <vector>

namespace weft::app {

struct FlagUse {
  std::string name;   // with its dashes
  std::string value;  // empty for flags that take none
};

struct ServeOptions {
  std::string config_file;  // empty: the flags are the configuration
  bool explain_memory = false;
  std::vector<FlagUse> flags;  // in the order of the command line, but for the two above
};

/// Why `weft serve` does not start.
struct Refusal {
  int exit_code;     // 1: the file is wrong; 2: the flags are
  std::string text;  // lines, each ending in a newline
};

/// Adds the flags of `weft serve` to it, with help and examples. Outlives the parse: `options`.
void add_serve_options(CLI::App& serve, ServeOptions& options);

/// The configuration of the file or the flags; the empty one for --explain-memory alone. Names that the configuration
/// leaves out are still left out (control::with_default_names()).
std::expected<control::Config, Refusal> serve_config(const ServeOptions& options);

}  // namespace weft::app
