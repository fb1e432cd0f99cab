// Reads one TOML table key by key and collects what is wrong: unknown keys at once, wrong types and ranges as keys are
// asked for. The only files that see toml++ are this one, its .cc and config_toml.cc.
#pragma once
#include "control/problem.h"
#include "control/toml_library.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::control {

Location location_of(const toml::node& node);

/// A value and where it stands.
template <typename T>
struct Located {
  T value;
  Location at;
};

struct IntegerRange {
  int64_t lowest;
  int64_t highest;
};

class TomlTable {
 public:
  /// Reports the keys of `table` that `known` does not list. `name` is how messages call the table: "[target]".
  /// Outlived by: all four arguments.
  TomlTable(const toml::table& table, std::string_view name, std::span<const std::string_view> known,
            Problems& problems);

  /// A table inside this one, whose problems go where this one's go.
  TomlTable nested(const toml::table& table, std::string_view name, std::span<const std::string_view> known) const {
    return {table, name, known, *problems_};
  }

  Location at() const { return location_of(*table_); }

  /// Reports `key` if it is absent; `example` is what to write.
  void require(std::string_view key, std::string_view example);

  /// Each getter gives nothing when the key is absent or wrong; when it is wrong, that has been reported.
  /// Requires: `key` is one of the known ones.
  std::optional<Located<std::string>> string(std::string_view key);
  std::optional<Located<int64_t>> integer(std::string_view key, IntegerRange range);
  std::optional<Located<bool>> boolean(std::string_view key);
  std::optional<Located<std::vector<std::string>>> strings(std::string_view key);
  std::optional<Located<std::vector<int64_t>>> integers(std::string_view key, IntegerRange range);
  /// The table of [key], or nothing.
  const toml::table* table(std::string_view key);
  /// The tables of [[key]], in order; empty when there is none.
  std::vector<const toml::table*> tables(std::string_view key);

  void report(Location at, std::string text) { problems_->push_back({at, std::move(text)}); }

 private:
  const toml::node* find(std::string_view key) const;
  void report_type(const toml::node& node, std::string_view what, std::string_view wanted);
  std::string called(std::string_view key) const;
  std::optional<int64_t> integer_in(const toml::node& node, std::string_view what, IntegerRange range);

  const toml::table* table_;
  std::string_view name_;
  std::span<const std::string_view> known_;
  Problems* problems_;
};

}  // namespace weft::control
