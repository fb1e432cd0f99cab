#include "sim/runner.h"

#include "base/assert.h"

#include <cstdio>
#include <fmt/format.h>

namespace weft::sim {
namespace {

// What a crash still has to say. The seed is known only here, and an assertion may fail anywhere.
std::string& reproducer_of_a_crash() {
  static std::string text;
  return text;
}

void print_after_a_crash() { std::fputs(reproducer_of_a_crash().c_str(), stderr); }

/// Never destroyed, so that what is buried stays reachable to the end.
Graveyard& the_graveyard() {
  static auto& graveyard = *new Graveyard;
  return graveyard;
}

std::string reproducer(const RunOptions& options, uint64_t seed) {
  const std::string scenario =
      options.scenario_path.empty() ? "" : fmt::format(" --scenario {}", options.scenario_path);
  const std::string plant = options.plant.empty() ? "" : fmt::format(" --plant {}", options.plant);
  return fmt::format("To see it again:\n  weft-sim --seed {}{}{}\n  weft-sim --seed {}{}{} --trace | tail -n 100\n",
                     seed, scenario, plant, seed, scenario, plant);
}

}  // namespace

Runner::Runner(RunOptions options) : options_(std::move(options)), graveyard_(the_graveyard()) {
  set_crash_hook(print_after_a_crash);
}

Report Runner::run_once(uint64_t seed, Trace::Print print) {
  const Plan plan = draw_plan(seed, options_.scenario);
  World world{plan, print, graveyard_};
  return world.run();
}

bool Runner::run() {
  uint64_t worlds = 0;
  for (uint64_t seed = options_.first; seed <= options_.last; ++seed, ++worlds) {
    fmt::print("seed {}: ", seed);
    std::fflush(stdout);
    reproducer_of_a_crash() = reproducer(options_, seed);
    Report report = run_once(seed, options_.print);
    if (!report.finding && options_.rerun_every > 0 && seed % options_.rerun_every == 0) {
      const Report again = run_once(seed, Trace::Print::kNo);
      if (again.hash != report.hash) {
        report.finding =
            Finding{"determinism", fmt::format("the trace's hash is {:016x}, and {:016x} when the seed is run again",
                                               report.hash, again.hash)};
      }
    }
    if (report.finding) {
      fmt::print("FAILED: {}: {}\n{}", report.finding->checker, report.finding->what, reproducer_of_a_crash());
      return false;
    }
    fmt::print("ok, {} commands, {} associations, {} faults, {} ms, trace {:016x}\n", report.commands,
               report.associations, report.faults, report.simulated.milliseconds(), report.hash);
    sum_.commands += report.commands;
    sum_.associations += report.associations;
    sum_.faults += report.faults;
    sum_.simulated = sum_.simulated + report.simulated;
  }
  fmt::print(
      "{} worlds without a finding: {} commands, {} associations, {} faults, {} s of virtual time, {} processes died\n",
      worlds, sum_.commands, sum_.associations, sum_.faults, sum_.simulated.ns / 1'000'000'000, graveyard_.count());
  return true;
}

}  // namespace weft::sim
