#include "base/simulation.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

bool has_a_planted_bug() { return WEFT_PLANTED("base-test-plant"); }
void pass_a_probe() { WEFT_PROBE("base-test-probe"); }

#ifdef WEFT_SIMULATION

Mark* find(Mark::Kind kind, std::string_view name) {
  Mark* mark = Mark::first(kind);
  while (mark != nullptr && mark->name() != name) mark = mark->next();
  return mark;
}

TEST(Simulation, AProbeIsListedBeforeItIsPassedAndCountsEachPassage) {
  Mark* probe = find(Mark::Kind::kProbe, "base-test-probe");
  ASSERT_NE(probe, nullptr);
  const uint64_t before = probe->hits();
  pass_a_probe();
  pass_a_probe();
  EXPECT_EQ(probe->hits(), before + 2);
  EXPECT_EQ(find(Mark::Kind::kPlant, "base-test-probe"), nullptr);
}

TEST(Simulation, APlantDoesNothingUntilItIsTurnedOn) {
  Mark* plant = find(Mark::Kind::kPlant, "base-test-plant");
  ASSERT_NE(plant, nullptr);
  EXPECT_FALSE(has_a_planted_bug());
  EXPECT_EQ(plant->hits(), 0u);
  plant->turn(true);
  EXPECT_TRUE(has_a_planted_bug());
  EXPECT_EQ(plant->hits(), 1u);
  plant->turn(false);
  EXPECT_FALSE(has_a_planted_bug());
}

#else

TEST(Simulation, InAReleaseBuildAPlantIsNeverOn) {
  pass_a_probe();
  EXPECT_FALSE(has_a_planted_bug());
}

#endif

}  // namespace
}  // namespace weft
