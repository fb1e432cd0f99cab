#include "bench/options.h"

#include <limits>
#include <map>
#include <string>

#include "base/units.h"

namespace weft::bench {
namespace {

template <typename Number>
CLI::callback_t size_into(Number& target) {
  return [&target](const CLI::results_t& values) {
    const auto size = parse_size(values.front());
    if (!size || *size == 0 || *size > std::numeric_limits<Number>::max()) return false;
    target = Number(*size);
    return true;
  };
}

}  // namespace

void add_workload_options(CLI::App& app, Workload& workload) {
  app.add_option("--rw", workload.direction, "read, write or mixed; writes of more than 8 KiB go by R2T")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Direction>{{"read", Direction::kRead}, {"write", Direction::kWrite}, {"mixed", Direction::kMixed}}));
  app.add_option("--mix", workload.read_percent, "percent of reads in mixed")->capture_default_str()->check(CLI::Range(0, 100));
  app.add_option("--order", workload.order, "random or sequential; each connection starts at block 0")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Order>{{"random", Order::kRandom}, {"sequential", Order::kSequential}}));
  app.add_option("--io-size", size_into(workload.io_bytes), "payload of a command, as 4KiB (default)");
  app.add_option("--capacity", size_into(workload.capacity_bytes), "how much the I/Os are spread over, as 256MiB (default)");
}

}  // namespace weft::bench
