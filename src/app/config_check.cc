#include "app/config_check.h"

#include "app/config_file.h"
#include "control/address.h"

#include <fmt/format.h>

namespace weft::app {
namespace {

std::string access_text(const control::SubsystemConfig& subsystem) {
  if (control::accepts_any_host(subsystem)) return "any host";
  const size_t count = subsystem.allow_hosts.size();
  return fmt::format("{} host{}", count, count == 1 ? "" : "s");
}

std::string summary_of(const control::Config& config) {
  std::string text;
  for (const control::ListenerConfig& listener : config.listeners) {
    text += fmt::format("  listener {}\n", control::to_text(listener.endpoint()));
  }
  for (const control::SubsystemConfig& subsystem : config.subsystems) {
    const std::string nqn = subsystem.nqn.empty() ? "with the machine's NQN" : subsystem.nqn;
    text += fmt::format("  subsystem {}: {}\n", nqn, access_text(subsystem));
    for (const control::NamespaceConfig& ns : subsystem.namespaces) {
      text += fmt::format("    namespace {}: {}\n", ns.nsid, control::to_text(ns.device));
    }
  }
  return text;
}

}  // namespace

void add_config_check_options(CLI::App& check, ConfigCheckOptions& options) {
  check.add_option("FILE", options.file, "the configuration file, TOML")->required();
  check.footer("Example:\n  weft config check /etc/weft/weft.toml\n\nThe keys are described in docs/configuration.md.");
}

int run_config_check(const ConfigCheckOptions& options, std::ostream& out, std::ostream& errors) {
  const auto config = load_config_file(options.file);
  if (!config) {
    errors << config.error();
    return 1;
  }
  out << options.file << ": ok\n" << summary_of(*config);
  return 0;
}

}  // namespace weft::app
