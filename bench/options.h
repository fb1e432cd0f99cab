// The flags that the server and the client of the raw ceiling share: they have to agree on what an I/O is.
#pragma once
#include <CLI/CLI.hpp>

#include "bench/workload.h"

namespace weft::bench {

/// Adds --rw, --mix, --order, --io-size and --capacity. Outlives: `workload` outlives the parsing.
void add_workload_options(CLI::App& app, Workload& workload);

}  // namespace weft::bench
