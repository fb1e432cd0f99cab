// `weft`: one binary, a subcommand for each thing to do. Exit codes: 0 done, 1 failed, 2 wrong usage.
#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>

#include "app/config_check.h"
#include "app/connect_line.h"
#include "app/demo.h"
#include "app/devices.h"
#include "app/discover.h"
#include "app/identify.h"
#include "app/perf.h"
#include "app/serve.h"

namespace weft::app {
namespace {

constexpr int kUsageError = 2;

struct Options {
  ServeOptions serve;
  ConfigCheckOptions config_check;
  HostOptions discover;
  IdentifyOptions identify;
  PerfOptions perf;
  HostOptions connect_line;
  DemoOptions demo;
  DevicesOptions devices;
};

int run(int argc, char** argv) {
  CLI::App weft{"Weft: an NVMe over Fabrics target in user space, and tools to talk to any target"};
  weft.footer("Examples:\n"
              "  weft serve --listen 127.0.0.1:4420 --namespace ram:1GiB\n"
              "  weft discover -a 127.0.0.1\n"
              "  weft COMMAND --help");
  weft.require_subcommand(1);
  weft.set_version_flag("--version", "weft 0.1.0");
  Options options;
  std::function<int()> chosen;
  const auto add = [&](const char* name, const char* what, auto add_options, auto run_command) {
    CLI::App* command = weft.add_subcommand(name, what);
    add_options(*command);
    command->callback([&chosen, run_command] { chosen = run_command; });
  };
  add("serve", "run the target", [&](CLI::App& c) { add_serve_options(c, options.serve); }, [&] { return run_serve(options.serve); });
  CLI::App* config = weft.add_subcommand("config", "look at configuration files");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand("check", "say what is wrong with a configuration file");
  add_config_check_options(*check, options.config_check);
  check->callback([&] { chosen = [&] { return run_config_check(options.config_check, std::cout, std::cerr); }; });
  add("discover", "list what a target offers this host", [&](CLI::App& c) { add_discover_options(c, options.discover); },
      [&] { return run_discover(options.discover); });
  add("identify", "show a controller and its namespaces", [&](CLI::App& c) { add_identify_options(c, options.identify); },
      [&] { return run_identify(options.identify); });
  add("perf", "measure and verify I/O", [&](CLI::App& c) { add_perf_options(c, options.perf); }, [&] { return run_perf(options.perf); });
  add("connect-line", "print the nvme-cli command that connects a Linux host",
      [&](CLI::App& c) { add_connect_line_options(c, options.connect_line); }, [&] { return run_connect_line(options.connect_line); });
  add_devices_options(*weft.add_subcommand("devices", "list NVMe devices, take them from the kernel and give them back"), options.devices, chosen);
  add("demo", "start a target, check it and show how to connect", [&](CLI::App& c) { add_demo_options(c, options.demo); },
      [&] { return run_demo(options.demo); });
  try {
    weft.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return weft.exit(error) == 0 ? 0 : kUsageError;
  }
  return chosen();
}

}  // namespace
}  // namespace weft::app

int main(int argc, char** argv) { return weft::app::run(argc, argv); }
