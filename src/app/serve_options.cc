#include "app/serve_options.h"

#include "app/config_file.h"
#include "app/flag_config.h"

#include <array>
#include <string_view>
#include <utility>

namespace weft::app {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  weft serve --listen 127.0.0.1:4420 --namespace ram:1GiB\n"
    "  weft serve --listen 0.0.0.0:4420 --subsystem nqn.2025-01.io.example:db \\\n"
    "      --allow-host nqn.2014-08.org.nvmexpress:uuid:0f01fb42-9f7f-4856-b0b3-51e60b8de349 \\\n"
    "      --namespace file:/srv/db.img,size=8GiB --namespace /dev/sdx --cores 0,1\n"
    "  weft serve --config /etc/weft/weft.toml\n"
    "  weft serve --explain-memory\n"
    "\n"
    "Flags after a second --subsystem belong to it. NSIDs count from 1 in each. Devices, keys and\n"
    "the configuration file are described in docs/configuration.md.";

struct ValueFlag {
  const char* name;
  const char* value;
  const char* help;
};

constexpr std::array<ValueFlag, 7> kValueFlags{{
    {"--listen", "ADDRESS", "where hosts connect: [tcp://|rdma://]HOST:PORT, numeric; port 0 for any; repeats"},
    {"--subsystem", "NQN", "what hosts connect to; without one, the NQN comes from the machine's id; repeats"},
    {"--namespace", "DEVICE", "ram:SIZE, null:SIZE, file:PATH[,size=SIZE], /dev/NAME[,force=true] (a disk, or /dev/ng0n1) or nvme:ADDRESS[,nsid=N]; repeats"},
    {"--allow-host", "HOSTNQN", "a host that may connect to the subsystem; repeats"},
    {"--block-size", "512|4096", "of the subsystem's namespaces that do not give their own"},
    {"--cores", "LIST", "CPUs to run a reactor on, e.g. 0,1 or 0-3"},
    {"--poll", "adaptive|always", "block when idle (default), or take whole cores"},
}};

}  // namespace

void add_serve_options(CLI::App& serve, ServeOptions& options) {
  CLI::Option* config =
      serve.add_option("--config", options.config_file, "take the configuration from a TOML file instead of flags");
  config->type_name("FILE");
  for (const ValueFlag& flag : kValueFlags) {
    // Called at each use, so that the order across flags is kept.
    const auto keep = [&options, name = flag.name](const std::string& value) {
      options.flags.push_back({name, value});
    };
    serve.add_option_function<std::string>(flag.name, keep, flag.help)
        ->type_name(flag.value)
        ->trigger_on_parse()
        ->excludes(config);
  }
  const auto keep_any_host = [&options](int64_t) { options.flags.push_back({"--allow-any-host", ""}); };
  serve
      .add_flag_function("--allow-any-host", keep_any_host,
                         "let every host that reaches a listener connect to the subsystem")
      ->trigger_on_parse()
      ->excludes(config);
  serve.add_flag("--explain-memory", options.explain_memory,
                 "print every bound of the target and what it costs, and end");
  serve.footer(kExamples);
}

std::expected<control::Config, Refusal> serve_config(const ServeOptions& options) {
  if (!options.config_file.empty()) {
    auto config = load_config_file(options.config_file);
    if (config) return *std::move(config);
    return std::unexpected(Refusal{1, std::move(config.error())});
  }
  if (options.explain_memory && options.flags.empty()) return control::Config{};
  auto config = config_from_flags(options.flags);
  if (config) return *std::move(config);
  Refusal refusal{2, ""};
  for (const control::Problem& problem : config.error()) refusal.text += "weft serve: " + problem.text + "\n";
  refusal.text += "weft serve --help shows examples.\n";
  return std::unexpected(std::move(refusal));
}

}  // namespace weft::app
