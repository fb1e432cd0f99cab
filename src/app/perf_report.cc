// What `weft perf` prints at its end.
#include <fmt/format.h>

#include <array>

#include "app/perf.h"

namespace weft::app {
namespace {

struct Quantile {
  const char* key;
  const char* title;
  double fraction;
};
constexpr std::array kQuantiles{Quantile{"p50", "p50", 0.5}, Quantile{"p90", "p90", 0.9}, Quantile{"p99", "p99", 0.99}, Quantile{"p99_9", "p99.9", 0.999},
                                Quantile{"p99_99", "p99.99", 0.9999}};

double microseconds_of(uint64_t ns) { return double(ns) / 1000; }

double per_second(uint64_t count, Duration elapsed) { return elapsed.ns <= 0 ? 0 : double(count) * 1e9 / double(elapsed.ns); }

double mib_per_second(uint64_t bytes, Duration elapsed) { return per_second(bytes, elapsed) / (1 << 20); }

Json tally_json(const host::Tally& tally, Duration elapsed) {
  Json latency;
  for (const Quantile& q : kQuantiles) latency[q.key] = microseconds_of(tally.latency_ns.quantile(q.fraction));
  latency["max"] = microseconds_of(tally.latency_ns.max());
  latency["mean"] = tally.latency_ns.mean() / 1000;
  return {{"ios", tally.ios}, {"iops", per_second(tally.ios, elapsed)}, {"mib_per_s", mib_per_second(tally.bytes, elapsed)}, {"latency_us", latency}};
}

std::string tally_row(const char* name, const host::Tally& tally, Duration elapsed) {
  std::string row = fmt::format("{:<6}{:>11.0f}{:>10.1f}", name, per_second(tally.ios, elapsed), mib_per_second(tally.bytes, elapsed));
  for (const Quantile& q : kQuantiles) row += fmt::format("{:>10.1f}", microseconds_of(tally.latency_ns.quantile(q.fraction)));
  return row + fmt::format("{:>10.1f}\n", microseconds_of(tally.latency_ns.max()));
}

host::Tally sum_of(const host::WorkloadReport& report) {
  host::Tally all = report.reads;
  all.merge(report.writes);
  return all;
}

}  // namespace

bool is_clean(const host::WorkloadReport& report) {
  return report.io_errors == 0 && report.verify_errors == 0 && report.first_error.empty() && report.reads.ios + report.writes.ios > 0;
}

Json to_json(const host::WorkloadReport& report) {
  Json json = tally_json(sum_of(report), report.elapsed);
  json["io_errors"] = report.io_errors;
  json["verify_errors"] = report.verify_errors;
  json["blocks_verified"] = report.blocks_verified;
  json["elapsed_s"] = double(report.elapsed.ns) / 1e9;
  json["read"] = tally_json(report.reads, report.elapsed);
  json["write"] = tally_json(report.writes, report.elapsed);
  if (!report.first_error.empty()) json["first_error"] = report.first_error;
  return json;
}

std::string to_table(const host::WorkloadReport& report) {
  std::string text = fmt::format("{:<6}{:>11}{:>10}", "", "IOPS", "MiB/s");
  for (const Quantile& q : kQuantiles) text += fmt::format("{:>10}", q.title);
  text += fmt::format("{:>10}  us\n", "max");
  if (report.reads.ios > 0) text += tally_row("read", report.reads, report.elapsed);
  if (report.writes.ios > 0) text += tally_row("write", report.writes, report.elapsed);
  text += tally_row("all", sum_of(report), report.elapsed);
  text += fmt::format("{} I/Os in {:.2f} s, {} I/O errors, {} verify errors, {} blocks verified\n", report.reads.ios + report.writes.ios,
                      double(report.elapsed.ns) / 1e9, report.io_errors, report.verify_errors, report.blocks_verified);
  if (!report.first_error.empty()) text += fmt::format("first error: {}\n", report.first_error);
  return text;
}

}  // namespace weft::app
