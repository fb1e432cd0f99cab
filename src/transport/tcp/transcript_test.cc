// Every transcript of testdata/ against the real target, with the host's bytes whole, one at a time and in random
// segments; and the language of transcripts itself.
#include "base/prng.h"
#include "transport/tcp/transcript_player.h"

#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::tcp {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

enum class Segments : uint8_t { kWhole, kOneByte, kRandom };

std::function<size_t()> segments(Segments kind, uint64_t seed) {
  if (kind == Segments::kWhole) return [] { return SIZE_MAX; };
  if (kind == Segments::kOneByte) return [] { return size_t{1}; };
  // Some cut inside headers, some inside data, some hold several PDUs.
  return [prng = Prng(seed)]() mutable {
    constexpr uint64_t kScales[] = {8, 80, 3000};
    return size_t(1 + prng.below(kScales[prng.below(3)]));
  };
}

OrMessage<void> replay(const OrMessage<Transcript>& transcript, std::function<size_t()> next_segment) {
  if (!transcript) return std::unexpected(transcript.error());
  const auto limits = limits_of(*transcript, small_limits());
  if (!limits) return std::unexpected(limits.error());
  return TranscriptPlayer(*limits, std::move(next_segment)).play(*transcript);
}

OrMessage<void> replay_text(const std::string& text) {
  return replay(TranscriptReader(WEFT_TRANSCRIPTS).parse("text", text), segments(Segments::kWhole, 0));
}

std::vector<std::string> files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(WEFT_TRANSCRIPTS)) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().filename());
  }
  std::ranges::sort(names);
  return names;
}

class TranscriptFile : public ::testing::TestWithParam<std::string> {
 protected:
  void expect_replays(Segments kind, uint64_t seed) {
    SCOPED_TRACE(seed);
    const auto replayed = replay(TranscriptReader(WEFT_TRANSCRIPTS).read(GetParam()), segments(kind, seed));
    EXPECT_TRUE(replayed.has_value()) << replayed.error();
  }
};

TEST_P(TranscriptFile, Whole) { expect_replays(Segments::kWhole, 0); }
TEST_P(TranscriptFile, OneByteAtATime) { expect_replays(Segments::kOneByte, 0); }
TEST_P(TranscriptFile, InRandomSegments) {
  for (uint64_t seed = 1; seed <= 5; ++seed) expect_replays(Segments::kRandom, seed);
}

INSTANTIATE_TEST_SUITE_P(Files, TranscriptFile, ::testing::ValuesIn(files()),
                         [](const auto& test) { return test.param.substr(0, test.param.find('.')); });

TEST(Transcript, AMismatchNamesTheLineAndShowsBothDumps) {
  const auto replayed = replay_text("# x\nH2C admin ICReq\nC2H admin ICResp\n  cpda = 3\n");
  ASSERT_FALSE(replayed.has_value());
  EXPECT_THAT(replayed.error(),
              AllOf(StartsWith("text:3:"), HasSubstr("expected: ICResp"), HasSubstr("cpda 3"), HasSubstr("cpda 0")));
}

TEST(Transcript, MismatchedDataShowsTheFirstByteThatDiffers) {
  const auto replayed = replay_text(
      "# x\nH2C admin ICReq\nH2C admin ICReq\nC2H admin ICResp\nC2H admin C2HTermReq\n  data = hex 00 00 80 01 00 00 "
      "00\n");
  ASSERT_FALSE(replayed.has_value());
  EXPECT_THAT(replayed.error(), AllOf(StartsWith("text:5:"), HasSubstr("from byte 3 of 7 expected and 8")));
}

TEST(Transcript, WhatIsMissingOrTooMuchIsAMismatch) {
  EXPECT_FALSE(replay_text("# x\nH2C admin ICReq\n").has_value());
  EXPECT_FALSE(replay_text("# x\nH2C admin ICReq\nC2H admin nothing\n").has_value());
  EXPECT_FALSE(replay_text("# x\nH2C admin ICReq\nC2H admin ICResp\nC2H admin R2T\n").has_value());
  EXPECT_FALSE(replay_text("# x\nH2C admin ICReq\nC2H admin ICResp\nC2H admin close\n").has_value());
  EXPECT_FALSE(replay_text("# x\nH2C admin ICReq\nC2H admin R2T\n").has_value());
}

TEST(Transcript, WhatCannotBeReadIsRefusedWithItsLine) {
  const char* const texts[] = {
      "H2C admin ICReq\n",
      "# x\nhello\n",
      "# x\n  field = 1\n",
      "# x\nH2C admin Hello\n",
      "# x\nwait 5\n",
      "# x\ninclude none.part\n",
      "# x\nlimit none = 1\n",
      "# x\nH2C admin ICReq\n  none = 1\n",
      "# x\nH2C admin ICReq\n  dgst = none of these\n",
      "# x\nH2C admin ICReq\n  pfv\n",
      "# x\nH2C admin ICReq\n  pfv = $unbound\n",
      "# x\nH2C admin CapsuleCmd\n  data = soup\n",
      "# x\nH2C admin CapsuleCmd\n  data[0:4] = 1\n",
      "# x\nH2C admin CapsuleCmd\n  ddgst = right\n",
      "# x\nC2H admin R2T\n",
  };
  for (const char* text : texts) EXPECT_FALSE(replay_text(text).has_value()) << text;
}

}  // namespace
}  // namespace weft::tcp
