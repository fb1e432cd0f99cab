// The fixed-size text fields of wire structs: serial numbers padded with spaces, NQNs padded with NULs, addresses
// padded with either.
#pragma once
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weft {

/// Writes `text` and fills the rest with spaces. A text longer than the field is cut.
inline void set_space_padded(std::span<char> field, std::string_view text) {
  const auto end = std::copy_n(text.begin(), std::min(text.size(), field.size()), field.begin());
  std::fill(end, field.end(), ' ');
}

/// Writes `text` and fills the rest with NULs. A text longer than the field is cut; one exactly as long leaves no NUL.
inline void set_nul_padded(std::span<char> field, std::string_view text) {
  const auto end = std::copy_n(text.begin(), std::min(text.size(), field.size()), field.begin());
  std::fill(end, field.end(), '\0');
}

/// The text of a field padded either way: up to the first NUL, without the spaces at its end. Borrows the field.
/// Not for names that decide about access: "a" and "a " are the same here.
inline std::string_view text_of(std::span<const char> field) {
  const std::string_view text(field.data(), size_t(std::find(field.begin(), field.end(), '\0') - field.begin()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

/// The text before the first NUL, exactly as it stands. Null when the field holds no NUL. Borrows the field.
inline std::optional<std::string_view> nul_terminated(std::span<const char> field) {
  const auto end = std::find(field.begin(), field.end(), '\0');
  if (end == field.end()) return std::nullopt;
  return std::string_view(field.data(), size_t(end - field.begin()));
}

/// `text` for a log or a terminal: everything but printable ASCII becomes \xNN, a backslash becomes two.
std::string escaped(std::string_view text);

}  // namespace weft
