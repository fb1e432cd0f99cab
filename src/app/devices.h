// `weft devices`: the machine's NVMe devices, and who drives them: the kernel, or Weft through VFIO.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>

#include "app/host_options.h"
#include "platform/linux/device_binding.h"

namespace weft::app {

struct DevicesOptions {
  OutputFormat output = OutputFormat::kTable;
  platform::BindRequest bind;
  std::string unbind_address;
};

/// Adds the flags and the subcommands `list`, which may be left out, `bind` and `unbind`; `chosen` becomes what is to be run, which returns the exit
/// code. Outlives the parse: `options` and `chosen`.
void add_devices_options(CLI::App& command, DevicesOptions& options, std::function<int()>& chosen);

/// The list as it is printed.
std::string devices_text(const platform::SystemRoot& root, OutputFormat output);

}  // namespace weft::app
