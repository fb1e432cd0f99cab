// The mutator gives scripts of PDUs, mostly with right digests, and the same ones for the same seed.
#include "fuzz/pdu_mutator.h"

#include "fuzz/host_phrases.h"

#include <gtest/gtest.h>

/// libFuzzer's, which this program is not linked with.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t) {
  if (size > 0) data[0] = uint8_t(data[0] + 1);
  return size;
}

namespace weft::fuzz {
namespace {

/// A script that has been through `rounds` mutations.
Script grown(uint64_t seed, int rounds) {
  Script script;
  for (int i = 0; i < rounds; ++i) PduMutator(kHostDialect, seed * 1000 + uint64_t(i)).mutate(script);
  return script;
}

TEST(PduMutator, TheSameSeedGivesTheSameScript) {
  EXPECT_EQ(grown(1, 30), grown(1, 30));
  EXPECT_NE(grown(1, 30), grown(2, 30));
}

TEST(PduMutator, MostPdusOfAGrownScriptAreWhole) {
  int whole = 0, all = 0;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const Script script = grown(seed, 20);
    for (const Step& step : script.steps) {
      if (step.bytes.empty()) continue;
      const Digests digests = digests_of_host(script, step.connection);
      const auto parts = take_apart(step.bytes, digests);
      ++all;
      if (parts && put_together(*parts, digests) == step.bytes) ++whole;
    }
  }
  EXPECT_GT(all, 300);
  EXPECT_GT(whole * 2, all) << whole << " of " << all;
}

TEST(PduMutator, FillsTheRoomItHasAndNoMore) {
  std::vector<uint8_t> room(700);
  size_t size = 0;
  size_t longest = 0;
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    size = mutate_script(kHostDialect, {room.data(), size, room.size()}, seed);
    ASSERT_LE(size, room.size());
    longest = std::max(longest, size);
  }
  EXPECT_GT(longest, room.size() / 2);
}

TEST(PduMutator, ACrossingHasStepsOfBoth) {
  const Script first = grown(3, 20);
  const Script second = grown(4, 20);
  bool has_both = false;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Script child = PduMutator(kHostDialect, seed).cross(first, second);
    has_both |=
        !child.steps.empty() && child.steps.front() == first.steps.front() && child.steps.back() == second.steps.back();
  }
  EXPECT_TRUE(has_both);
}

TEST(PduMutator, PlainMutationsAreLibFuzzers) {
  std::vector<uint8_t> bytes{1, 2, 3};
  is_structure_aware = false;
  EXPECT_EQ(mutate_script(kHostDialect, {bytes.data(), bytes.size(), bytes.size()}, 1), 3u);
  is_structure_aware = true;
  EXPECT_EQ(bytes, (std::vector<uint8_t>{2, 2, 3}));
}

}  // namespace
}  // namespace weft::fuzz
