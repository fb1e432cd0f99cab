#include "sim/probe_report.h"

#include "base/simulation.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace weft::sim {
namespace {

void pass_probe(bool is_rare) {
  WEFT_PROBE("test/often");
  if (is_rare) WEFT_PROBE("test/never");
}

uint64_t hits_of(std::string_view name) {
  const auto counts = probe_counts();
  const auto found = std::ranges::find(counts, name, &ProbeCount::name);
  EXPECT_NE(found, counts.end());
  return found == counts.end() ? 0 : found->hits;
}

TEST(ProbeReport, CountsProbesAndKnowsThoseThatNobodyHasPassed) {
  const uint64_t before = hits_of("test/often");
  pass_probe(false);
  pass_probe(false);
  EXPECT_EQ(hits_of("test/often"), before + 2);
  EXPECT_EQ(hits_of("test/never"), 0u);
}

TEST(ProbeReport, SaysLastWhatWasNotReached) {
  const ProbeCount counts[] = {{"a/first", 3}, {"a/missed", 0}, {"b/last", 12}};
  EXPECT_EQ(missed(counts), 1u);
  const std::string padding(32, ' ');
  EXPECT_EQ(probe_report(counts), "probe a/first " + padding + " 3\nprobe b/last  " + padding + " 12\nprobe a/missed" + padding +
                                      " NOT REACHED\n3 probes, 1 not reached\n");
}

}  // namespace
}  // namespace weft::sim
