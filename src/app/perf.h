// `weft perf`: reads and writes on a namespace of a target, or on a block device here, measured, and verified if asked.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "app/host_options.h"
#include "app/json.h"
#include "host/workload.h"

namespace weft::app {

struct PerfOptions {
  HostOptions host;
  std::string device;  // instead of a target; empty: none
  uint32_t nsid = 1;
  host::Pattern pattern = host::Pattern::kRandRead;
  unsigned mix = 70;  // percent of reads
  std::string block_size = "4KiB";
  uint16_t queue_depth = 32;
  uint16_t connections = 4;
  double time_s = 5;
  uint64_t io_count = 0;
  std::string offset = "0";
  std::string size;  // empty: to the end
  std::vector<std::string> digests;
  uint16_t descriptors = 1;  // RDMA: of one I/O
  uint64_t seed = 0;  // 0: a new one
  bool is_verified = false;
  bool is_flow_control_disabled = false;
  bool has_remote_invalidation = false;  // RDMA
  bool has_progress = false;
};

void add_perf_options(CLI::App& command, PerfOptions& options);

/// Runs it and prints the report on stdout. Returns the exit code: 0; 1 when anything failed or any block was wrong; 2 when the options
/// do not fit each other or the namespace.
int run_perf(const PerfOptions& options);

/// Connects, runs and disconnects. What `demo` calls as well.
Task<Result<host::WorkloadReport>> perf(Reactor& reactor, host::Transport& transport, PerfOptions options);

Json to_json(const host::WorkloadReport& report);
std::string to_table(const host::WorkloadReport& report);
/// Whether every I/O succeeded and every block was right, and there was any I/O at all.
bool is_clean(const host::WorkloadReport& report);

}  // namespace weft::app
