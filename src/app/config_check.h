// `weft config check FILE`: what is wrong with a configuration, without starting anything.
#pragma once
#include <CLI/CLI.hpp>
#include <ostream>
#include <string>

namespace weft::app {

struct ConfigCheckOptions {
  std::string file;
};

/// Adds the argument FILE to the subcommand `check`. Outlives the parse: `options`.
void add_config_check_options(CLI::App& check, ConfigCheckOptions& options);

/// Writes "FILE: ok" and a summary to `out`, or every problem to `errors`. Returns the exit code: 0 when the file is
/// good, else 1.
int run_config_check(const ConfigCheckOptions& options, std::ostream& out, std::ostream& errors);

}  // namespace weft::app
