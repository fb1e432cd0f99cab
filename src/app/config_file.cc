#include "app/config_file.h"

#include "control/config_toml.h"

#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <string_view>

namespace weft::app {
namespace {

std::unexpected<std::string> unreadable(const std::string& path, std::string_view why) {
  return std::unexpected(fmt::format("{}: {}\n", path, why));
}

}  // namespace

std::expected<control::Config, std::string> load_config_file(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return unreadable(path, error ? error.message() : "there is no such file");
  if (std::filesystem::is_directory(status)) return unreadable(path, "this is a folder: name a TOML file");
  std::ifstream file{path, std::ios::binary};
  if (!file) return unreadable(path, "the file cannot be opened: look at its permissions");
  std::string text(control::kConfigBytesMax + 1, '\0');
  file.read(text.data(), std::streamsize(text.size()));
  if (file.bad()) return unreadable(path, "the file cannot be read");
  text.resize(size_t(file.gcount()));

  auto config = control::parse_config(text);
  if (config) return *std::move(config);
  std::string lines;
  for (const control::Problem& problem : config.error()) lines += control::to_text(problem, path) + "\n";
  return std::unexpected(std::move(lines));
}

}  // namespace weft::app
