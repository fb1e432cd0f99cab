// The client of every measurement: raw_client --port P --connections 8 --queue-depth 32 against raw_ceiling, or with --nvme --subsystem NQN
// against any NVMe/TCP target. It drops payload without copying it, so that the server is what is measured. Prints one JSON object.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/load.h"
#include "bench/nvme_session.h"
#include "bench/options.h"

namespace weft::bench {
namespace {

struct Options {
  Workload workload;
  Endpoint endpoint;
  LoadOptions load;
  std::string subsystem_nqn;  // empty: the raw ceiling, which has no protocol
  uint32_t nsid = 1;
  size_t connections = 1;
  int cpu = -1;
};

LoadResult run_raw(Options& options) {
  std::vector<Fd> streams;
  for (size_t i = 0; i < options.connections; ++i) streams.push_back(connect_to(options.endpoint));
  options.load.response_bytes = options.workload.response_bytes();
  const uint32_t block = options.workload.io_bytes;
  Load load(options.load, options.workload, {.block_bytes = block, .block_count = options.workload.capacity_bytes / block});
  for (const Fd& stream : streams) load.add(stream);
  return load.run();
}

LoadResult run_nvme(Options& options) {
  NvmeSession session({.endpoint = options.endpoint,
                       .subsystem_nqn = options.subsystem_nqn,
                       .nsid = options.nsid,
                       .connections = options.connections,
                       .queue_depth = uint16_t(options.load.queue_depth)});
  const BlockMap map = session.map(options.workload);
  options.load.response_bytes = session.probe(options.workload);
  Load load(options.load, options.workload, map);
  for (const NvmeQueue& queue : session.queues()) load.add(queue.stream());
  LoadResult result = load.run();
  // The load counted bytes; that each stream is still in step with its commands says that it counted the right ones.
  if (session.probe(options.workload) != options.load.response_bytes) die("the target's answers changed their length");
  return result;
}

nlohmann::json to_json(const LoadResult& result, const LoadOptions& load) {
  const double seconds = std::chrono::duration<double>(result.elapsed).count();
  nlohmann::json json{{"ios", result.ios},
                      {"seconds", seconds},
                      {"iops", double(result.ios) / seconds},
                      {"response_bytes", load.response_bytes},
                      {"client_receives", result.receives},
                      {"client_sends", result.sends}};
  if (load.server_pid != 0) {
    const double cpu_s = std::chrono::duration<double>(result.server.total).count();
    json["server_cpu_s"] = cpu_s;
    json["server_user_s"] = std::chrono::duration<double>(result.server.user).count();
    json["server_system_s"] = std::chrono::duration<double>(result.server.system).count();
    json["iops_per_cpu_s"] = cpu_s > 0 ? double(result.ios) / cpu_s : 0.0;
  }
  const auto& samples = result.round_trips_ns;
  const auto microseconds_at = [&](double fraction) { return samples[size_t(double(samples.size() - 1) * fraction)] / 1e3; };
  if (!samples.empty()) {
    json["round_trip_us"] = {{"p50", microseconds_at(0.5)}, {"p99", microseconds_at(0.99)}, {"p99_9", microseconds_at(0.999)}, {"max", microseconds_at(1)}};
  }
  return json;
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  using namespace weft::bench;
  CLI::App app{"A closed loop of 4 KiB commands that drops what it receives"};
  Options options;
  double warm_up_s = 0.2;
  double duration_s = 1.0;
  add_workload_options(app, options.workload);
  app.add_option("--host", options.endpoint.host, "IPv4 address")->capture_default_str();
  app.add_option("--port", options.endpoint.port, "port")->required();
  app.add_option("--nvme", options.subsystem_nqn, "speak NVMe/TCP, to the subsystem with this NQN");
  app.add_option("--nsid", options.nsid, "namespace")->capture_default_str();
  app.add_option("--connections", options.connections, "I/O queues, each a connection")->capture_default_str()->check(CLI::Range(1, 4096));
  app.add_option("--queue-depth", options.load.queue_depth, "commands outstanding on each")->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--warm-up", warm_up_s, "seconds before the measured time")->capture_default_str()->check(CLI::Range(0.0, 60.0));
  app.add_option("--time", duration_s, "measured seconds")->capture_default_str()->check(CLI::Range(0.01, 3600.0));
  app.add_option("--server-pid", options.load.server_pid, "process whose CPU time is read");
  app.add_option("--cpu", options.cpu, "CPU to run on, -1: any")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  options.load.warm_up = std::chrono::milliseconds(int64_t(warm_up_s * 1e3));
  options.load.duration = std::chrono::milliseconds(int64_t(duration_s * 1e3));
  pin_to_cpu(options.cpu);
  const LoadResult result = options.subsystem_nqn.empty() ? run_raw(options) : run_nvme(options);
  std::printf("%s\n", to_json(result, options.load).dump().c_str());
  return 0;
}
