// The client of every measurement: raw_client --port P --connections 8 --queue-depth 32 against raw_ceiling, or with --nvme NQN against any NVMe/TCP
// target. It drops payload without copying it where it can, so that the server is what is measured. With --group, connections of several kinds at
// once. Prints one JSON object.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/group_spec.h"
#include "bench/load.h"
#include "bench/nvme_session.h"
#include "bench/options.h"

namespace weft::bench {
namespace {

struct Options {
  GroupSpec spec{.name = "all", .workload = {}};  // what the flags say
  std::vector<std::string> groups;
  Endpoint endpoint;
  LoadOptions load;
  std::string subsystem_nqn;  // empty: the raw ceiling, which has no protocol
  std::vector<uint32_t> nsids{1};
  std::vector<std::string> digests;
  int cpu = -1;
};

std::vector<GroupSpec> groups_of(const Options& options) {
  if (options.groups.empty()) return {options.spec};
  std::vector<GroupSpec> groups;
  for (const std::string& text : options.groups) {
    auto group = parse_group(text, options.spec);
    errno = 0;
    if (!group) die("--group: this is wrong: " + group.error());
    groups.push_back(std::move(*group));
  }
  return groups;
}

LoadResult run_raw(const Options& options) {
  std::vector<Fd> streams;
  Load load(options.load);
  const std::vector<GroupSpec> groups = groups_of(options);
  if (groups.size() > 1) die("the raw ceiling knows one kind of connection only");
  const GroupSpec& group = groups.front();
  std::vector<const Fd*> borrowed;
  for (size_t i = 0; i < group.connections; ++i) streams.push_back(connect_to(options.endpoint));
  for (const Fd& stream : streams) borrowed.push_back(&stream);
  const uint32_t block = group.workload.io_bytes;
  load.add({.name = group.name,
            .workload = group.workload,
            .map = {.block_bytes = block, .block_count = group.workload.capacity_bytes / block},
            .queue_depth = group.queue_depth,
            .response_bytes = group.workload.is_framed() ? 0 : group.workload.response_bytes(),
            .rate = group.rate},
           borrowed);
  return load.run();
}

/// A group's own controllers, and what their answers are.
struct NvmeGroup {
  GroupSpec spec;
  std::unique_ptr<NvmeSession> session;
  size_t response_bytes = 0;
};

NvmeGroup connect_group(const Options& options, GroupSpec spec) {
  auto session = std::make_unique<NvmeSession>(NvmeSession::Options{.endpoint = options.endpoint,
                                                                    .subsystem_nqn = options.subsystem_nqn,
                                                                    .nsids = options.nsids,
                                                                    .connections = spec.connections,
                                                                    .queue_depth = uint16_t(spec.queue_depth),
                                                                    .digests = spec.workload.digests});
  spec.workload.in_capsule_bytes_max = std::min(spec.workload.in_capsule_bytes_max, session->in_capsule_bytes());
  const size_t response_bytes = session->probe(spec.workload);
  return {.spec = std::move(spec), .session = std::move(session), .response_bytes = response_bytes};
}

void add_group(Load& load, const NvmeGroup& group) {
  std::vector<const Fd*> streams;
  for (const NvmeQueue& queue : group.session->queues()) streams.push_back(&queue.stream());
  load.add({.name = group.spec.name,
            .workload = group.spec.workload,
            .map = group.session->map(group.spec.workload),
            .queue_depth = group.spec.queue_depth,
            .response_bytes = group.response_bytes,
            .maxh2cdata = group.session->maxh2cdata(),
            .rate = group.spec.rate},
           streams);
}

LoadResult run_nvme(const Options& options) {
  std::vector<NvmeGroup> groups;
  for (GroupSpec& spec : groups_of(options)) groups.push_back(connect_group(options, std::move(spec)));
  Load load(options.load);
  for (const NvmeGroup& group : groups) add_group(load, group);
  LoadResult result = load.run();
  // The load counted bytes; that each stream is still in step with its commands says that it counted the right ones.
  for (const NvmeGroup& group : groups) {
    if (group.session->probe(group.spec.workload) != group.response_bytes) die("the target's answers changed their length");
  }
  return result;
}

nlohmann::json to_json(const GroupResult& result, double seconds) {
  nlohmann::json json{{"ios", result.ios},
                      {"iops", double(result.ios) / seconds},
                      {"client_receives", result.receives},
                      {"client_sends", result.sends},
                      {"connection_ios", {{"min", result.connection_ios_min}, {"max", result.connection_ios_max}}}};
  if (result.latencies.count() == 0) return json;
  const auto microseconds_at = [&](double fraction) { return double(result.latencies.at(fraction)) / 1e3; };
  json["latency_us"] = {{"p50", microseconds_at(0.5)},       {"p99", microseconds_at(0.99)}, {"p99_9", microseconds_at(0.999)},
                        {"p99_99", microseconds_at(0.9999)}, {"max", microseconds_at(1)},    {"matched_by", result.knows_cids ? "cid" : "order"}};
  return json;
}

void add_server(const ServerUsage& usage, double ios, nlohmann::json& json) {
  const auto seconds = [](std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); };
  const double cpu_s = seconds(usage.cpu.total);
  json["server_cpu_s"] = cpu_s;
  json["server_user_s"] = seconds(usage.cpu.user);
  json["server_system_s"] = seconds(usage.cpu.system);
  json["server_waited_s"] = seconds(usage.cpu.waited);
  json["iops_per_cpu_s"] = cpu_s > 0 ? ios / cpu_s : 0.0;
  if (usage.system_calls) {
    const SystemCalls& calls = *usage.system_calls;
    json["system_calls"] = {{"all", calls.all}, {"receives", calls.receives}, {"sends", calls.sends}, {"io_uring", calls.io_uring}};
  }
}

nlohmann::json to_json(const LoadResult& result, const Options& options) {
  const double seconds = std::chrono::duration<double>(result.elapsed).count();
  nlohmann::json json{{"seconds", seconds}};
  double ios = 0;
  for (const GroupResult& group : result.groups) {
    ios += double(group.ios);
    if (!options.groups.empty()) json["groups"][group.name] = to_json(group, seconds);
  }
  if (options.groups.empty()) json.update(to_json(result.groups.front(), seconds));
  json["ios"] = uint64_t(ios);
  json["iops"] = ios / seconds;
  if (options.load.server_pid != 0) add_server(result.server, ios, json);
  return json;
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  using namespace weft::bench;
  CLI::App app{"A load of one kind of commands, or of several, that drops what it receives"};
  Options options;
  double warm_up_s = 0.2;
  double duration_s = 1.0;
  bool counts_calls = false;
  add_workload_options(app, options.spec.workload);
  app.add_option("--host", options.endpoint.host, "IPv4 address")->capture_default_str();
  app.add_option("--port", options.endpoint.port, "port")->required();
  app.add_option("--nvme", options.subsystem_nqn, "speak NVMe/TCP, to the subsystem with this NQN");
  app.add_option("--nsid", options.nsids, "namespaces, to which commands go in turn")->delimiter(',')->capture_default_str();
  app.add_option("--digest", options.digests, "NVMe/TCP digests: header, data or header,data")->delimiter(',')->check(CLI::IsMember({"header", "data"}));
  app.add_option("--connections", options.spec.connections, "I/O queues, each a connection")->capture_default_str()->check(CLI::Range(1, 4096));
  app.add_option("--queue-depth", options.spec.queue_depth, "commands outstanding on each")->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--rate", options.spec.rate, "commands per second in all, whether answered or not; 0: as fast as they are answered");
  app.add_option("--group", options.groups, "NAME[,connections=N][,depth=N][,rw=…][,size=…][,rate=N]: what differs from the flags; repeats");
  app.add_option("--warm-up", warm_up_s, "seconds before the measured time")->capture_default_str()->check(CLI::Range(0.0, 60.0));
  app.add_option("--time", duration_s, "measured seconds")->capture_default_str()->check(CLI::Range(0.01, 3600.0));
  app.add_option("--server-pid", options.load.server_pid, "process whose CPU time is read");
  app.add_flag("--system-calls", counts_calls, "count that process's system calls too, which slows it (root, tracefs)");
  app.add_option("--cpu", options.cpu, "CPU to run on, -1: any")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  options.load.warm_up = std::chrono::milliseconds(int64_t(warm_up_s * 1e3));
  options.load.duration = std::chrono::milliseconds(int64_t(duration_s * 1e3));
  if (counts_calls) options.load.counts = ServerMeter::Counts::kSystemCallsToo;
  for (const std::string& digest : options.digests) (digest == "header" ? options.spec.workload.digests.header : options.spec.workload.digests.data) = true;
  pin_to_cpu(options.cpu);
  const LoadResult result = options.subsystem_nqn.empty() ? run_raw(options) : run_nvme(options);
  std::printf("%s\n", to_json(result, options).dump().c_str());
  return 0;
}
