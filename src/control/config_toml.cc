#include "control/config_toml.h"

#include "control/address.h"
#include "control/config_keys.h"
#include "control/toml_table.h"
#include "control/validate.h"
#include "wire/text_field.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::control {
namespace {

constexpr int64_t kCoreMax = 1023;  // what a CPU set of Linux can say
constexpr int64_t kConnectionsMax = 1 << 20;
constexpr int64_t kIoTimeoutSecondsMax = 3600;

TargetConfig read_target(TomlTable table) {
  TargetConfig target;
  if (const auto cores = table.integers("cores", {0, kCoreMax})) {
    target.cores_at = cores->at;
    for (const int64_t core : cores->value) target.cores.push_back(uint32_t(core));
    if (target.cores.empty())
      table.report(cores->at, "cores of [target] is empty: list at least one core or leave it out");
  }
  if (const auto poll = table.string("poll")) {
    if (poll->value == "always") {
      target.poll = PollMode::kAlways;
    } else if (poll->value != "adaptive") {
      table.report(poll->at,
                   fmt::format("poll of [target] is {}: write \"adaptive\" or \"always\"", shown(poll->value)));
    }
  }
  if (const auto seconds = table.integer("io_timeout_s", {1, kIoTimeoutSecondsMax})) {
    target.limits.io_timeout_ms = uint32_t(seconds->value * 1000);
  }
  if (const auto count = table.integer("connections_max", {1, kConnectionsMax})) {
    target.limits.connections = uint32_t(count->value);
    target.limits.connections_per_peer = std::min(target.limits.connections_per_peer, target.limits.connections);
  }
  if (const auto count = table.integer("connections_per_peer_max", {1, kConnectionsMax})) {
    target.limits.connections_per_peer = uint32_t(count->value);
    if (target.limits.connections_per_peer > target.limits.connections) {
      table.report(
          count->at,
          fmt::format("connections_per_peer_max of [target] is above the {} connections in all: raise connections_max",
                      target.limits.connections));
    }
  }
  return target;
}

ListenerConfig read_listener(TomlTable table) {
  ListenerConfig listener{.at = table.at(), .address = {.host = "127.0.0.1"}};
  table.require("address", "address = \"127.0.0.1:4420\"");
  const auto text = table.string("address");
  if (!text) return listener;
  listener.at = text->at;
  if (const auto endpoint = parse_endpoint(text->value)) {
    listener.address = endpoint->address;
    listener.scheme = endpoint->scheme;
  } else {
    table.report(text->at, std::string{endpoint.error().what()});
  }
  return listener;
}

/// What the table says of block size and UUID beside the device's own options.
void read_namespace_options(TomlTable& table, DeviceSpec& device) {
  if (const auto size = table.integer("block_size", {0, UINT32_MAX})) {
    if (device.block_size != 0) table.report(size->at, "the block size is given twice: as a key and in device");
    device.block_size = uint32_t(size->value);
    if (size->value == 0) table.report(size->at, "block_size of [[subsystem.namespace]] is 0: write 512 or 4096");
  }
  if (const auto text = table.string("uuid")) {
    if (device.uuid) table.report(text->at, "the UUID is given twice: as a key and in device");
    const auto uuid = parse_uuid(text->value);
    if (uuid)
      device.uuid = *uuid;
    else
      table.report(text->at, fmt::format("{} is not a UUID: write 8-4-4-4-12 hexadecimal digits", shown(text->value)));
  }
}

NamespaceConfig read_namespace(TomlTable table) {
  NamespaceConfig ns{.at = table.at()};
  table.require("device", "device = \"ram:1GiB\"");
  if (const auto nsid = table.integer("nsid", {1, Limits{}.namespaces})) ns.nsid = uint32_t(nsid->value);
  if (const auto text = table.string("device")) {
    ns.at = text->at;
    if (auto device = parse_device_spec(text->value)) {
      ns.device = *std::move(device);
    } else {
      table.report(text->at, std::string{device.error().what()});
    }
  }
  read_namespace_options(table, ns.device);
  return ns;
}

SubsystemConfig read_subsystem(TomlTable table) {
  SubsystemConfig subsystem{.at = table.at()};
  if (auto nqn = table.string("nqn")) {
    subsystem.at = nqn->at;
    subsystem.nqn = std::move(nqn->value);
    if (subsystem.nqn.empty()) table.report(nqn->at, "nqn of [[subsystem]] is empty: leave it out for the default one");
  }
  if (const auto any = table.boolean("allow_any_host")) subsystem.allow_any_host = any->value;
  if (auto hosts = table.strings("allow_hosts")) subsystem.allow_hosts = std::move(hosts->value);
  if (auto serial = table.string("serial")) subsystem.serial = std::move(serial->value);
  if (auto model = table.string("model")) subsystem.model = std::move(model->value);
  if (const auto reset = table.boolean("subsystem_reset")) subsystem.subsystem_reset = reset->value;
  for (const toml::table* node : table.tables("namespace")) {
    subsystem.namespaces.push_back(read_namespace(table.nested(*node, "[[subsystem.namespace]]", kNamespaceKeys)));
  }
  return subsystem;
}

Config read_config(TomlTable top) {
  Config config;
  if (const toml::table* node = top.table("target"))
    config.target = read_target(top.nested(*node, "[target]", kTargetKeys));
  for (const toml::table* node : top.tables("listener")) {
    config.listeners.push_back(read_listener(top.nested(*node, "[[listener]]", kListenerKeys)));
  }
  for (const toml::table* node : top.tables("subsystem")) {
    config.subsystems.push_back(read_subsystem(top.nested(*node, "[[subsystem]]", kSubsystemKeys)));
  }
  return config;
}

}  // namespace

Checked<Config> parse_config(std::string_view text) {
  if (text.size() > kConfigBytesMax) {
    return std::unexpected(Problems{{{1, 1}, fmt::format("the file has more than {} bytes", kConfigBytesMax)}});
  }
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::source_position at = parsed.error().source().begin;
    return std::unexpected(
        Problems{{{at.line, at.column}, fmt::format("this is not TOML: {}", escaped(parsed.error().description()))}});
  }
  Problems problems;
  Config config = with_nsids(read_config({parsed.table(), "the file", kTopKeys, problems}));
  Problems rules = validate(config, Wording::kFile);
  problems.insert(problems.end(), std::make_move_iterator(rules.begin()), std::make_move_iterator(rules.end()));
  if (problems.empty()) return config;
  std::ranges::sort(problems);
  return std::unexpected(std::move(problems));
}

}  // namespace weft::control
