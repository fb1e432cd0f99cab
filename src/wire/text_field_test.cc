#include "wire/text_field.h"

#include <array>
#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(TextField, SpacePaddedFieldHoldsNoNul) {
  std::array<char, 6> field{};
  set_space_padded(field, "ab");
  EXPECT_EQ(std::string_view(field.data(), field.size()), "ab    ");
}

TEST(TextField, NulPaddedFieldForgetsWhatItHeld) {
  std::array<char, 4> field{'x', 'x', 'x', 'x'};
  set_nul_padded(field, "a");
  EXPECT_EQ(std::string_view(field.data(), field.size()), std::string_view("a\0\0\0", 4));
}

TEST(TextField, LongTextIsCutAtTheEndOfTheField) {
  std::array<char, 4> guarded{'-', '-', '-', '!'};
  const std::span<char> field(guarded.data(), 3);
  set_space_padded(field, "abcdef");
  EXPECT_EQ(std::string_view(guarded.data(), 4), "abc!");
  set_nul_padded(field, "ghijkl");
  EXPECT_EQ(std::string_view(guarded.data(), 4), "ghi!");
}

TEST(TextField, TextIsReadBackWithoutEitherPadding) {
  EXPECT_EQ(text_of(std::array<char, 6>{'4', '4', '2', '0', ' ', ' '}), "4420");
  EXPECT_EQ(text_of(std::array<char, 6>{'4', '4', '2', '0', '\0', 'x'}), "4420");
  EXPECT_EQ(text_of(std::array<char, 4>{'a', ' ', '\0', '\0'}), "a");
  EXPECT_EQ(text_of(std::array<char, 4>{'a', ' ', 'b', 'c'}), "a bc");
  EXPECT_EQ(text_of(std::array<char, 3>{' ', ' ', ' '}), "");
}

TEST(TextField, NameWithoutItsNulIsNull) {
  EXPECT_EQ(nul_terminated(std::array<char, 3>{'a', 'b', 'c'}), std::nullopt);
  EXPECT_EQ(nul_terminated(std::array<char, 4>{'a', ' ', '\0', 'x'}), "a ");
}

TEST(TextField, UnprintableCharactersAreEscaped) {
  EXPECT_EQ(escaped(std::string_view("a\x1b[2J\n\0z\xff\\", 10)), "a\\x1b[2J\\x0a\\x00z\\xff\\\\");
  EXPECT_EQ(escaped(" ~"), " ~");
}

}  // namespace
}  // namespace weft
