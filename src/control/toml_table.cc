// The one file that compiles toml++ itself, so that it is built without exceptions and under our sanitizers.
#define TOML_IMPLEMENTATION
#include "control/toml_table.h"

#include "base/assert.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::control {
namespace {

std::string_view name_of(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

Location location_of_region(const toml::source_region& region) { return {region.begin.line, region.begin.column}; }

std::string joined(std::span<const std::string_view> words) { return fmt::format("{}", fmt::join(words, ", ")); }

}  // namespace

Location location_of(const toml::node& node) { return location_of_region(node.source()); }

TomlTable::TomlTable(const toml::table& table, std::string_view name, std::span<const std::string_view> known,
                     Problems& problems)
    : table_(&table), name_(name), known_(known), problems_(&problems) {
  for (const auto& [key, value] : table) {
    if (std::ranges::find(known, key.str()) != known.end()) continue;
    report(location_of_region(key.source()),
           fmt::format("unknown key {} in {}; its keys are {}", shown(key.str()), name_, joined(known)));
  }
}

void TomlTable::require(std::string_view key, std::string_view example) {
  if (find(key) == nullptr) report(at(), fmt::format("{} of {} is missing: write {}", key, name_, example));
}

std::optional<Located<std::string>> TomlTable::string(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* text = node->as_string()) return Located{text->get(), location_of(*node)};
  report_type(*node, called(key), "a string");
  return std::nullopt;
}

std::optional<Located<int64_t>> TomlTable::integer(std::string_view key, IntegerRange range) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto number = integer_in(*node, called(key), range);
  if (!number) return std::nullopt;
  return Located{*number, location_of(*node)};
}

std::optional<Located<bool>> TomlTable::boolean(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* value = node->as_boolean()) return Located{value->get(), location_of(*node)};
  report_type(*node, called(key), "true or false, without quotes");
  return std::nullopt;
}

std::optional<Located<std::vector<std::string>>> TomlTable::strings(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    report_type(*node, called(key), "an array of strings");
    return std::nullopt;
  }
  Located<std::vector<std::string>> result{{}, location_of(*node)};
  for (const toml::node& element : *array) {
    if (const auto* text = element.as_string()) {
      result.value.push_back(text->get());
    } else {
      report_type(element, "each of " + called(key), "a string");
    }
  }
  return result;
}

std::optional<Located<std::vector<int64_t>>> TomlTable::integers(std::string_view key, IntegerRange range) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    report_type(*node, called(key), "an array of integers");
    return std::nullopt;
  }
  Located<std::vector<int64_t>> result{{}, location_of(*node)};
  for (const toml::node& element : *array) {
    if (const auto number = integer_in(element, "each of " + called(key), range)) result.value.push_back(*number);
  }
  return result;
}

const toml::table* TomlTable::table(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return nullptr;
  if (node->is_table()) return node->as_table();
  report_type(*node, called(key), fmt::format("one table: write [{}]", key));
  return nullptr;
}

std::vector<const toml::table*> TomlTable::tables(std::string_view key) {
  std::vector<const toml::table*> result;
  const toml::node* node = find(key);
  if (node == nullptr) return result;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    report_type(*node, called(key), fmt::format("an array of tables: write double brackets, [[{}]]", key));
    return result;
  }
  for (const toml::node& element : *array) {
    if (const toml::table* found = element.as_table()) {
      result.push_back(found);
    } else {
      report_type(element, "each of " + called(key), "a table");
    }
  }
  return result;
}

const toml::node* TomlTable::find(std::string_view key) const {
  WEFT_ASSERT(std::ranges::find(known_, key) != known_.end());
  return table_->get(key);
}

void TomlTable::report_type(const toml::node& node, std::string_view what, std::string_view wanted) {
  report(location_of(node), fmt::format("{} must be {}, not {}", what, wanted, name_of(node.type())));
}

std::string TomlTable::called(std::string_view key) const { return fmt::format("{} of {}", key, name_); }

std::optional<int64_t> TomlTable::integer_in(const toml::node& node, std::string_view what, IntegerRange range) {
  const auto* number = node.as_integer();
  if (number == nullptr) {
    report_type(node, what, "an integer, without quotes");
    return std::nullopt;
  }
  if (number->get() >= range.lowest && number->get() <= range.highest) return number->get();
  report(location_of(node),
         fmt::format("{} is {}, outside {} to {}", what, number->get(), range.lowest, range.highest));
  return std::nullopt;
}

}  // namespace weft::control
