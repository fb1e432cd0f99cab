// What is wrong with a configuration, where, and what to do about it. Problems are collected, never thrown: whoever
// fixes a file wants to see all of them at once. Used by the control thread only, at start and by `weft config check`.
#pragma once
#include <compare>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace weft::control {

/// A place in a configuration file, counted from 1. Line 0: no place, because the configuration came from flags.
struct Location {
  uint32_t line = 0;
  uint32_t column = 0;
  friend constexpr auto operator<=>(Location, Location) = default;
};

struct Problem {
  Location at;
  std::string text;  // what is wrong and what to do
  friend auto operator<=>(const Problem&, const Problem&) = default;
};
using Problems = std::vector<Problem>;

template <typename T>
using Checked = std::expected<T, Problems>;

/// "FILE:LINE:COLUMN: text", or only the text when the problem has no place.
std::string to_text(const Problem& problem, std::string_view file);

/// `text` in single quotes for a message: at most 80 bytes of it, everything but printable ASCII as \xNN, so that a
/// hostile file cannot write to a terminal.
std::string shown(std::string_view text);

}  // namespace weft::control
