// What a run says of the rare branches that the code marks (base/simulation.h): one line for each, which scripts read to
// add up several runs, and a sum.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::sim {

struct ProbeCount {
  std::string_view name;
  uint64_t hits = 0;
};

/// Of every probe that is linked into the program, executed or not.
std::vector<ProbeCount> probe_counts();
size_t missed(std::span<const ProbeCount> counts);
/// "probe NAME COUNT" for each, in the order of their names, then "probe NAME NOT REACHED" for the others, then how many
/// there are of both.
std::string probe_report(std::span<const ProbeCount> counts);

}  // namespace weft::sim
