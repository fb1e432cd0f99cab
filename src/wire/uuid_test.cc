#include "wire/uuid.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Uuid, BytesLieInTheOrderTheyAreWritten) {
  const auto uuid = parse_uuid("00112233-4455-6677-8899-aabbccddeeff");
  ASSERT_TRUE(uuid.has_value());
  for (size_t i = 0; i < 16; ++i) EXPECT_EQ(uuid->bytes[i], i * 0x11);
}

TEST(Uuid, IsWrittenInLowerCase) {
  const auto uuid = parse_uuid("0F01FB42-9f7f-4856-B0B3-51e60b8de349");
  ASSERT_TRUE(uuid.has_value());
  EXPECT_EQ(to_text(*uuid), "0f01fb42-9f7f-4856-b0b3-51e60b8de349");
}

TEST(Uuid, OtherFormsAreRefused) {
  for (const char* text : {"", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeff0",
                           "00112233445566778899aabbccddeeff----", "0011223g-4455-6677-8899-aabbccddeeff",
                           "00112233-4455-6677-8899_aabbccddeeff", "{0112233-4455-6677-8899-aabbccddeef}"}) {
    const auto uuid = parse_uuid(text);
    ASSERT_FALSE(uuid.has_value()) << text;
    EXPECT_EQ(uuid.error().code, Errc::kInvalid);
  }
}

TEST(Uuid, OnlyZeroesAreNil) {
  Uuid uuid{};
  EXPECT_TRUE(uuid.is_nil());
  uuid.bytes[15] = 1;
  EXPECT_FALSE(uuid.is_nil());
}

}  // namespace
}  // namespace weft
