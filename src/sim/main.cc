// weft-sim: runs simulated worlds by seed. Exit status 0: nothing was found; 1: something was, or the program crashed;
// 2: usage.
#include "sim/marks.h"
#include "sim/plants.h"
#include "sim/probe_report.h"
#include "sim/runner.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <fmt/format.h>
#include <optional>
#include <string>

namespace weft::sim {
namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

constexpr const char* kAbout =
    "Runs Weft's target and hosts in simulated worlds: networks, disks, clocks and faults drawn from a seed, in "
    "virtual time.\n"
    "docs/simulation.md says how to read what it prints.";
constexpr const char* kExamples =
    "Examples:\n"
    "  weft-sim --seed 7\n"
    "  weft-sim --seeds 1..2000\n"
    "  weft-sim --seed 7 --trace | tail -n 100\n"
    "  weft-sim --seeds 1..300 --scenario src/sim/scenarios/power_cuts.toml\n"
    "  weft-sim --seeds 1..300 --plant completion-twice\n"
    "Exit status: 0 nothing was found, 1 something was, 2 usage.";

struct Arguments {
  std::optional<uint64_t> seed;
  std::string range;
  std::string scenario;
  std::string plant;
  uint64_t rerun_every = 16;
  bool is_traced = false;
  bool lists_plants = false;
  bool demands_probes = false;
  bool counts_probes = false;
};

int complain(std::string_view what) {
  fmt::print(stderr, "weft-sim: {}\n", what);
  return kUsage;
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// "A..B" into options. False when it is something else.
bool read_range(std::string_view text, RunOptions& options) {
  const size_t dots = text.find("..");
  if (dots == std::string_view::npos) return false;
  const auto first = number(text.substr(0, dots)), last = number(text.substr(dots + 2));
  if (!first || !last || *last < *first) return false;
  options.first = *first;
  options.last = *last;
  return true;
}

int list_plants() {
  for (const Plant& plant : kPlants) fmt::print("{:32} {:18} {}\n", plant.name, plant.checker, plant.breaks);
  return kOk;
}

int run(const Arguments& arguments) {
  if (arguments.lists_plants) return list_plants();
  RunOptions options{.scenario_path = arguments.scenario,
                     .plant = arguments.plant,
                     .print = arguments.is_traced ? Trace::Print::kYes : Trace::Print::kNo,
                     .rerun_every = arguments.rerun_every};
  if (arguments.seed.has_value() == !arguments.range.empty()) return complain("give --seed N or --seeds A..B");
  if (arguments.seed) options.first = options.last = *arguments.seed;
  if (!arguments.range.empty() && !read_range(arguments.range, options))
    return complain("--seeds wants A..B, two numbers, the first not above the second");
  if (!arguments.plant.empty() && !turn_on_plant(arguments.plant))
    return complain(fmt::format("there is no plant {}: see --list-plants", arguments.plant));
  if (!arguments.scenario.empty()) {
    auto scenario = read_scenario(arguments.scenario);
    if (!scenario) return complain(scenario.error().what());
    options.scenario = std::move(*scenario);
  }
  if (!Runner{std::move(options)}.run()) return kFailed;
  const auto counts = probe_counts();
  if (arguments.demands_probes || arguments.counts_probes) fmt::print("{}", probe_report(counts));
  return arguments.demands_probes && missed(counts) > 0 ? kFailed : kOk;
}

}  // namespace
}  // namespace weft::sim

int main(int argc, char** argv) {
  weft::sim::Arguments arguments;
  CLI::App app{weft::sim::kAbout};
  app.footer(weft::sim::kExamples);
  app.add_option("--seed", arguments.seed, "the world to run")->type_name("N");
  app.add_option("--seeds", arguments.range, "the worlds to run, one after the other")->type_name("A..B");
  app.add_option("--scenario", arguments.scenario, "a file that fixes what is drawn otherwise")->type_name("FILE");
  app.add_option("--plant", arguments.plant, "switches one planted bug on, which must be found")->type_name("NAME");
  app.add_option("--rerun-every", arguments.rerun_every,
                 "one seed in so many runs twice and must give the same trace; 0: none")
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--trace", arguments.is_traced, "print every event");
  app.add_flag("--list-plants", arguments.lists_plants, "print the planted bugs and which checker finds each");
  app.add_flag("--probes", arguments.demands_probes, "report which rare branches were reached; fail if one was not");
  app.add_flag("--count-probes", arguments.counts_probes, "the same report, for who adds up several runs; never fails");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? weft::sim::kOk : weft::sim::kUsage;
  }
  return weft::sim::run(arguments);
}
