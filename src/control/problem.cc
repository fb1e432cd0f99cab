#include "control/problem.h"

#include "wire/text_field.h"

#include <fmt/format.h>

namespace weft::control {

std::string to_text(const Problem& problem, std::string_view file) {
  if (problem.at.line == 0) return problem.text;
  return fmt::format("{}:{}:{}: {}", file, problem.at.line, problem.at.column, problem.text);
}

std::string shown(std::string_view text) {
  static constexpr size_t kShownMax = 80;  // bytes
  return fmt::format("'{}{}'", escaped(text.substr(0, kShownMax)), text.size() > kShownMax ? "..." : "");
}

}  // namespace weft::control
