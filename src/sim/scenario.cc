#include "sim/scenario.h"

#include "control/toml_table.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <sstream>

namespace weft::sim {
namespace {

constexpr std::string_view kKeys[] = {"targets",        "hosts",         "reactors",    "namespaces",
                                      "io_queues",      "queue_depth",   "duration_ms", "digests",
                                      "hostile_limits", "rough_network", "medium",      "fabric",
                                      "faults"};
constexpr int64_t kHourMs = 3'600'000;

std::string known_faults() {
  std::vector<std::string_view> names;
  for (const FaultName& fault : kFaultNames) names.push_back(fault.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<FaultKind> read_faults(control::TomlTable& table, const control::Located<std::vector<std::string>>& names) {
  std::vector<FaultKind> faults;
  for (const std::string& name : names.value) {
    const auto* found = std::ranges::find(kFaultNames, name, &FaultName::name);
    if (found == std::end(kFaultNames)) {
      table.report(names.at, fmt::format("there is no fault \"{}\": write some of {}", name, known_faults()));
    } else {
      faults.push_back(found->kind);
    }
  }
  return faults;
}

Scenario read(control::TomlTable table) {
  Scenario scenario;
  const auto number = [&](std::string_view key, auto& into, control::IntegerRange range) {
    if (const auto read = table.integer(key, range)) into = std::remove_cvref_t<decltype(*into)>(read->value);
  };
  const auto flag = [&](std::string_view key, std::optional<bool>& into) {
    if (const auto read = table.boolean(key)) into = read->value;
  };
  number("targets", scenario.targets, {1, 3});
  number("hosts", scenario.hosts, {1, 4});
  number("reactors", scenario.reactors, {1, 4});
  number("namespaces", scenario.namespaces, {1, 64});
  number("io_queues", scenario.io_queues, {1, 16});
  number("queue_depth", scenario.queue_depth, {1, 128});
  number("duration_ms", scenario.duration_ms, {1, kHourMs});
  flag("digests", scenario.digests);
  flag("hostile_limits", scenario.hostile_limits);
  flag("rough_network", scenario.rough_network);
  if (const auto fabric = table.string("fabric")) {
    scenario.fabric = fabric->value;
    const bool is_known = fabric->value == "tcp" || fabric->value == "rdma" || fabric->value == "both";
    if (!is_known) table.report(fabric->at, "fabric is \"tcp\", \"rdma\" or \"both\"");
  }
  if (const auto medium = table.string("medium")) {
    scenario.medium = medium->value;
    if (medium->value != "ram" && medium->value != "disk" && medium->value != "nvme") {
      table.report(medium->at, "medium is \"ram\", \"disk\" or \"nvme\"");
    }
  }
  if (const auto faults = table.strings("faults")) scenario.faults = read_faults(table, *faults);
  return scenario;
}

}  // namespace

Result<Scenario> read_scenario(const std::string& path) {
  std::ifstream file{path};
  if (!file) return fail(Errc::kNotFound, fmt::format("cannot read the scenario {}", path));
  std::ostringstream text;
  text << file.rdbuf();
  const toml::parse_result parsed = toml::parse(text.str());
  if (!parsed) {
    return fail(Errc::kInvalid,
                fmt::format("{}:{}: {}", path, parsed.error().source().begin.line, parsed.error().description()));
  }
  control::Problems problems;
  Scenario scenario = read({parsed.table(), "the scenario", kKeys, problems});
  if (problems.empty()) return scenario;
  return fail(Errc::kInvalid, fmt::format("{}:{}: {}", path, problems.front().at.line, problems.front().text));
}

}  // namespace weft::sim
