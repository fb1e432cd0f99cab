#include "sim/probe_report.h"

#include "sim/marks.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::sim {
namespace {

bool is_missed(const ProbeCount& count) { return count.hits == 0; }

}  // namespace

std::vector<ProbeCount> probe_counts() {
  std::vector<ProbeCount> counts;
  for (const Mark* probe : marks(Mark::Kind::kProbe)) counts.push_back({probe->name(), probe->hits()});
  return counts;
}

size_t missed(std::span<const ProbeCount> counts) { return size_t(std::ranges::count_if(counts, is_missed)); }

std::string probe_report(std::span<const ProbeCount> counts) {
  std::string reached, not_reached;
  for (const ProbeCount& count : counts) {
    if (is_missed(count)) {
      not_reached += fmt::format("probe {:40} NOT REACHED\n", count.name);
    } else {
      reached += fmt::format("probe {:40} {}\n", count.name, count.hits);
    }
  }
  return fmt::format("{}{}{} probes, {} not reached\n", reached, not_reached, counts.size(), missed(counts));
}

}  // namespace weft::sim
