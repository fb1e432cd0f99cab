// Connects many I/O queues of one host, one after the other, and keeps them idle: many_queues --port P --nvme NQN --queues 1000. Prints one JSON object
// when all are there (how many, and how long each took from connect() to the answer of its Connect command), then waits until its standard input ends.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "bench/nvme_session.h"

int main(int argc, char** argv) {
  using namespace weft::bench;
  CLI::App app{"Idle NVMe/TCP queues"};
  NvmeSession::Options options;
  int cpu = -1;
  app.add_option("--host", options.endpoint.host, "IPv4 address")->capture_default_str();
  app.add_option("--port", options.endpoint.port, "port")->required();
  app.add_option("--nvme", options.subsystem_nqn, "the subsystem's NQN")->required();
  app.add_option("--nsid", options.nsids, "a namespace that is there")->capture_default_str();
  app.add_option("--queues", options.connections, "I/O queues, on as many controllers as it takes")->capture_default_str()->check(CLI::Range(1, 16384));
  app.add_option("--queue-depth", options.queue_depth, "entries of each")->capture_default_str()->check(CLI::Range(2, 1024));
  app.add_option("--cpu", cpu, "CPU to run on, -1: any")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  pin_to_cpu(cpu);
  const NvmeSession session(options);
  std::vector<std::chrono::nanoseconds> times(session.set_up_times().begin(), session.set_up_times().end());
  std::ranges::sort(times);
  const auto microseconds_at = [&](double fraction) { return double(times[size_t(double(times.size() - 1) * fraction)].count()) / 1e3; };
  const auto sum = std::accumulate(times.begin(), times.end(), std::chrono::nanoseconds{0});
  const double mean_us = double(sum.count()) / double(times.size()) / 1e3;
  const nlohmann::json json{{"queues", session.queues().size()},
                            {"controllers", session.controllers()},
                            {"set_up_us", {{"mean", mean_us}, {"p50", microseconds_at(0.5)}, {"p99", microseconds_at(0.99)}, {"max", microseconds_at(1)}}}};
  std::printf("%s\n", json.dump().c_str());
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
