// Scripts are read and written without loss, and PDUs taken apart and put together.
#include "fuzz/pdu_script.h"

#include "fuzz/host_phrases.h"

#include <gtest/gtest.h>

namespace weft::fuzz {
namespace {

TEST(PduScript, ReadsWhatItHasWritten) {
  const Script script{
      .options = {7, 9},
      .steps = {{.kind = Step::Kind::kHold, .connection = 3, .is_echo = true, .argument = 200, .bytes = Bytes(300)},
                {.kind = Step::Kind::kHangUp, .bytes = {}},
                {.bytes = {std::byte{1}}}}};
  EXPECT_EQ(read_script(write_script(script)), script);
}

TEST(PduScript, AnyBytesAreAScriptThatIsReadTheSameAgain) {
  Prng prng(1);
  for (int i = 0; i < 1000; ++i) {
    Bytes bytes(prng.below(200));
    for (std::byte& byte : bytes) byte = std::byte(prng.next());
    const Script script = read_script(bytes);
    EXPECT_EQ(read_script(write_script(script)), script) << i;
  }
}

TEST(PduParts, PutTogetherIsWhatWasTakenApart) {
  Prng prng(2);
  for (const Digests digests :
       {Digests{}, Digests{.header = true}, Digests{.data = true}, Digests{.header = true, .data = true}}) {
    for (const auto phrase : {&HostPhrases::connect, &HostPhrases::io, &HostPhrases::data, &HostPhrases::admin}) {
      for (const Step& step : phrase(prng, digests, 1)) {
        const auto parts = take_apart(step.bytes, digests);
        ASSERT_TRUE(parts);
        EXPECT_EQ(put_together(*parts, digests), step.bytes);
      }
    }
  }
}

TEST(PduParts, AChangedFieldIsUnderTheDigest) {
  constexpr Digests kBoth{.header = true, .data = true};
  Prng prng(3);
  PduParts parts = *take_apart(HostPhrases::data(prng, kBoth, 0).front().bytes, kBoth);
  parts.header[offsetof(tcp::DataPdu, ttag)] = std::byte{0x77};
  parts.data.resize(8);
  const Bytes whole = put_together(parts, kBoth);
  ASSERT_EQ(whole.size(), 24u + 4 + 8 + 4);
  EXPECT_EQ(whole[offsetof(tcp::DataPdu, ttag)], std::byte{0x77});
  EXPECT_EQ(load_le32(whole.data() + 24), crc32c(std::span(whole).first(24)));
  EXPECT_EQ(load_le32(whole.data() + 36), crc32c(std::span(whole).subspan(28, 8)));
  EXPECT_EQ(uint32_t{view<tcp::DataPdu>(whole)->datal}, 8u);
  EXPECT_EQ(uint32_t{view<tcp::DataPdu>(whole)->ch.plen}, whole.size());
}

TEST(PduParts, ATypeThatDoesNotExistHasNoParts) {
  Bytes bytes(200, std::byte{0x0f});
  EXPECT_FALSE(take_apart(bytes, {}));
}

}  // namespace
}  // namespace weft::fuzz
