#include "app/connect_line.h"

#include <fmt/format.h>

#include "app/discover.h"
#include "app/discovery_words.h"
#include "app/host_runtime.h"
#include "app/json.h"
#include "app/report_failure.h"
#include "wire/text_field.h"

namespace weft::app {
namespace {

/// A word that a shell takes as it stands, in single quotes if it would not: it may come from a target.
std::string quoted(std::string_view word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_/@%+=,";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string{word};
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return text + "'";
}

void print_lines(const HostOptions& options, const std::vector<std::string>& lines) {
  if (options.output == OutputFormat::kJson) {
    fmt::print("{}\n", to_text(Json{{"connect", lines}}));
    return;
  }
  for (const std::string& line : lines) fmt::print("{}\n", line);
}

}  // namespace

void add_connect_line_options(CLI::App& command, HostOptions& options) {
  add_host_options(command, options, SubnqnFlag::kOptional);
  command.footer(
      "Examples:\n"
      "  weft connect-line -a 127.0.0.1                      every subsystem that the target lists, over every transport\n"
      "  weft connect-line -a 192.0.2.5 -n nqn.2014-08.org.example:a   this one, without asking");
}

std::string connect_line(const ConnectTarget& target) {
  std::string line = fmt::format("nvme connect -t {} -a {} -s {} -n {}", word_of(target.transport), quoted(target.address), quoted(target.service), quoted(target.subnqn));
  if (!target.hostnqn.empty()) line += fmt::format(" -q {}", quoted(target.hostnqn));
  if (!target.host_address.empty()) line += fmt::format(" -w {}", quoted(target.host_address));
  return line;
}

int run_connect_line(const HostOptions& options) {
  const std::string service = std::to_string(options.service);
  if (!options.subnqn.empty()) {
    print_lines(options, {connect_line({options.transport, options.address, service, options.subnqn, options.hostnqn, options.host_address})});
    return 0;
  }
  auto runtime = HostRuntime::create(options.transport);
  if (!runtime) return report_failure("connect-line", runtime.error());
  const auto log = (*runtime)->run(discover((*runtime)->reactor(), (*runtime)->transport(), options));
  if (!log) return report_failure("connect-line", log.error());
  std::vector<std::string> lines;
  for (const auto& entry : log->entries) {
    const auto transport = fabrics::Trtype(entry.trtype);
    const bool is_known = transport == fabrics::Trtype::kTcp || transport == fabrics::Trtype::kRdma;
    if (entry.subtype != uint8_t(fabrics::Subtype::kNvm) || !is_known) continue;
    lines.push_back(connect_line({transport, escaped(text_of(entry.traddr)), escaped(text_of(entry.trsvcid)), escaped(text_of(entry.subnqn)), options.hostnqn, options.host_address}));
  }
  if (lines.empty()) {
    return report_failure("connect-line", Error{Errc::kNotFound, "the target lists no subsystem for this host; allow it with `weft serve --allow-host`"});
  }
  print_lines(options, lines);
  return 0;
}

}  // namespace weft::app
