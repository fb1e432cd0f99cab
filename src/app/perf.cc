#include "app/perf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <random>

#include "app/device_perf.h"
#include "app/host_runtime.h"
#include "app/perf_progress.h"
#include "app/report_failure.h"
#include "base/units.h"
#include "platform/linux/terminal.h"
#include "wire/nvme/identify.h"

namespace weft::app {
namespace {

constexpr uint16_t kQueueEntriesMin = 32;
constexpr int kExitUsage = 2;

Result<host::WorkloadOptions> workload_options(const PerfOptions& options) {
  const auto block = parse_size(options.block_size);
  const auto offset = parse_size(options.offset);
  const auto size = options.size.empty() ? Result<uint64_t>{0} : parse_size(options.size);
  for (const auto* parsed : {&block, &offset, &size}) {
    if (!*parsed) return std::unexpected(parsed->error());
  }
  if (*block == 0 || *block > uint64_t{1} << 30) return fail(Errc::kInvalid, fmt::format("--block-size {} is not between 512 and 1GiB", options.block_size));
  return host::WorkloadOptions{.pattern = options.pattern,
                               .read_percent = options.mix,
                               .io_bytes = uint32_t(*block),
                               .queue_depth = options.queue_depth,
                               .time = nanoseconds(int64_t(options.time_s * 1e9)),
                               .io_count = options.io_count,
                               .offset_bytes = *offset,
                               .size_bytes = *size,
                               .verify = options.is_verified ? host::Verify::kYes : host::Verify::kNo,
                               .seed = options.seed != 0 ? options.seed : uint64_t{std::random_device{}()} << 32 | std::random_device{}()};
}

/// One more than is used: a queue with SQ flow control never has all its entries outstanding.
uint16_t queue_entries(const PerfOptions& options) { return std::max(kQueueEntriesMin, uint16_t(options.queue_depth + 1)); }

/// As much as run_workload() uses of it, registered before it connects.
Result<host::RdmaOptions> rdma_options(const PerfOptions& options) {
  const auto workload = workload_options(options);
  if (!workload) return std::unexpected(workload.error());
  return host::RdmaOptions{.entries = host::Controller::kAdminEntries + uint32_t{options.connections} * queue_entries(options),
                           .data_bytes = size_t{options.connections} * options.queue_depth * host::DataArea::rounded(workload->io_bytes),
                           .descriptors = options.descriptors,
                           .has_windows = options.has_remote_invalidation};
}

Result<void> check_options(const PerfOptions& options) {
  const bool has_target = !options.host.address.empty() && !options.host.subnqn.empty();
  if (!has_target && options.device.empty()) return fail(Errc::kInvalid, "what to measure is missing: a target (-a ADDRESS -n NQN) or a device here (--device DEVICE)");
  const bool is_rdma = options.host.transport == fabrics::Trtype::kRdma;
  if (is_rdma && !options.digests.empty()) return fail(Errc::kInvalid, "--digest is of NVMe/TCP: NVMe/RDMA has none");
  if (!is_rdma && options.has_remote_invalidation) return fail(Errc::kInvalid, "--remote-invalidation is of NVMe/RDMA: it needs -t rdma");
  if (!is_rdma && options.descriptors != 1) return fail(Errc::kInvalid, "--descriptors is of NVMe/RDMA: it needs -t rdma");
  return {};
}

Result<host::ConnectOptions> perf_connect_options(const PerfOptions& options) {
  auto connect = connect_options(options.host);
  if (!connect) return connect;
  connect->digests = {.header = std::ranges::count(options.digests, "header") > 0, .data = std::ranges::count(options.digests, "data") > 0};
  connect->io_queues = options.connections;
  connect->queue_entries = queue_entries(options);
  connect->sq_flow = options.is_flow_control_disabled ? host::SqFlow::kDisabled : host::SqFlow::kControlled;
  return connect;
}

Task<Result<host::Extent>> extent_of(host::Controller& controller, uint32_t nsid) {
  auto id = std::make_unique<nvme::IdentifyNamespace>();
  const std::span<std::byte> buffer{reinterpret_cast<std::byte*>(id.get()), sizeof *id};
  if (auto done = co_await controller.identify({.cns = nvme::Cns::kNamespace, .nsid = nsid}, buffer); !done) co_return std::unexpected(done.error());
  if (id->nsze == 0u) co_return fail(Errc::kNotFound, fmt::format("namespace {} is not active", nsid));
  const nvme::LbaFormat& format = id->lbaf[id->format_index()];
  if (format.lbads < 9 || format.lbads > 16 || uint16_t{format.ms} != 0) {
    co_return fail(Errc::kUnsupported, fmt::format("namespace {} has blocks of 2^{} bytes with {} bytes of metadata", nsid, format.lbads, uint16_t{format.ms}));
  }
  if (id->nsze > uint64_t{1} << (63 - format.lbads)) co_return fail(Errc::kInvalid, fmt::format("namespace {} says that it has {} blocks", nsid, uint64_t{id->nsze}));
  co_return host::Extent{.nsid = nsid, .lba_bytes = 1u << format.lbads, .lbas = id->nsze};
}

Task<Result<host::WorkloadReport>> run_workload(Reactor& reactor, host::Controller& controller, PerfOptions options) {
  const auto wanted = workload_options(options);
  if (!wanted) co_return std::unexpected(wanted.error());
  const auto extent = co_await extent_of(controller, options.nsid);
  if (!extent) co_return std::unexpected(extent.error());
  const auto workload = host::Workload::create(reactor, controller, *extent, *wanted);
  if (!workload) co_return std::unexpected(workload.error());
  std::optional<PerfProgress> progress;
  if (options.has_progress || platform::is_stderr_terminal()) progress.emplace(reactor, **workload);
  co_return co_await (*workload)->run();
}

}  // namespace

void add_perf_options(CLI::App& command, PerfOptions& options) {
  add_host_options(command, options.host, SubnqnFlag::kOptional);
  // One of both ends: a target, with its subsystem, or a device here.
  auto* address = command.get_option("--traddr")->required(false);
  auto* nqn = command.get_option("--nqn");
  auto* device = command.add_option("--device", options.device, "Instead of a target: a block device here, as `weft serve --namespace` takes it");
  device->excludes(address)->excludes(nqn);
  address->needs(nqn);
  nqn->needs(address);
  const std::map<std::string, host::Pattern> patterns{{"randread", host::Pattern::kRandRead},
                                                      {"randwrite", host::Pattern::kRandWrite},
                                                      {"randrw", host::Pattern::kRandRw},
                                                      {"read", host::Pattern::kRead},
                                                      {"write", host::Pattern::kWrite}};
  command.add_option("--nsid", options.nsid, "Namespace")->capture_default_str();
  command.add_option("--rw", options.pattern, "randread, randwrite, randrw, read or write")->transform(CLI::CheckedTransformer(patterns))->default_str("randread");
  command.add_option("--mix", options.mix, "Percent of reads in randrw")->capture_default_str()->check(CLI::Range(0, 100));
  command.add_option("--block-size", options.block_size, "Bytes of one I/O: 512, 4KiB, 1MiB …")->capture_default_str();
  command.add_option("--queue-depth", options.queue_depth, "I/Os outstanding per connection")->capture_default_str()->check(CLI::Range(1, 1023));
  command.add_option("--connections", options.connections, "I/O queues, each with a connection of its own")->capture_default_str()->check(CLI::Range(1, 1024));
  command.add_option("--time", options.time_s, "Seconds; 0 with --io-count: until that is done")->capture_default_str()->check(CLI::Range(0.0, 1e6));
  command.add_option("--io-count", options.io_count, "End after so many I/Os, if --time has not ended it before");
  command.add_option("--offset", options.offset, "Where the range that is used starts in the namespace")->capture_default_str();
  command.add_option("--size", options.size, "Length of that range (default: to the end)");
  command.add_option("--digest", options.digests, "NVMe/TCP digests: header, data or header,data")->delimiter(',')->check(CLI::IsMember({"header", "data"}));
  command.add_flag("--remote-invalidation", options.has_remote_invalidation, "RDMA: a key for each I/O, which the target may invalidate (needs memory windows)");
  command.add_option("--descriptors", options.descriptors, "RDMA: SGL descriptors that name an I/O's data")->capture_default_str()->check(CLI::Range(1, int(host::RdmaConnection::kDescriptorsMax)));
  command.add_flag("--verify", options.is_verified, "Stamp every block that is written, check every block that is read. Overwrites data.");
  command.add_flag("--disable-sqflow", options.is_flow_control_disabled, "Ask for no SQ flow control, so that data stands for its own success");
  command.add_option("--seed", options.seed, "Of addresses and stamps, to repeat a run (default: a new one)");
  command.add_flag("--progress", options.has_progress, "Show progress on stderr even if it is not a terminal");
  command.footer(
      "Examples:\n"
      "  weft perf -a 127.0.0.1 -n NQN --rw randread --time 10\n"
      "  weft perf -a 127.0.0.1 -n NQN --rw randrw --verify --digest header,data -o json\n"
      "  weft perf -t rdma -a 192.0.2.5 -n NQN --rw randrw --verify --remote-invalidation\n"
      "  weft perf -a 127.0.0.1 -n NQN --rw write --block-size 128KiB --queue-depth 8 --connections 1\n"
      "  weft perf --device nvme:0000:01:00.0 --rw randread\n"
      "Writing destroys what the namespace holds. --verify checks every block that is read: those that this run has written, and of\n"
      "others those that carry an earlier run's stamp. At the end it reads back, unmeasured, all that was written. It uses at most\n"
      "8 Mi I/O-sized chunks from the start of the range.\n"
      "Exit code: 0; 1 when any I/O failed or any block was wrong; 2 for wrong options.");
}

Task<Result<host::WorkloadReport>> perf(Reactor& reactor, host::Transport& transport, PerfOptions options) {
  const auto connect = perf_connect_options(options);
  if (!connect) co_return std::unexpected(connect.error());
  host::Controller controller{reactor, transport, *connect};
  if (auto done = co_await controller.connect(); !done) co_return std::unexpected(done.error());
  if (controller.io_queue_count() < options.connections) {
    fmt::print(stderr, "the target grants {} of {} connections\n", controller.io_queue_count(), options.connections);
  }
  auto report = co_await run_workload(reactor, controller, options);
  // A lost connection is in the report; one that is there is ended in order.
  if (controller.failure() == nullptr) {
    const auto ended = co_await controller.shutdown();
    if (report && !ended) co_return std::unexpected(ended.error());
  }
  co_return std::move(report);
}

namespace {

Result<host::WorkloadReport> run_target_perf(const PerfOptions& options) {
  const auto rdma = rdma_options(options);
  if (!rdma) return std::unexpected(rdma.error());
  auto runtime = HostRuntime::create(options.host.transport, *rdma);
  if (!runtime) return std::unexpected(runtime.error());
  return (*runtime)->run(perf((*runtime)->reactor(), (*runtime)->transport(), options));
}

Result<host::WorkloadReport> run_device_perf(const PerfOptions& options) {
  const auto workload = workload_options(options);
  if (!workload) return std::unexpected(workload.error());
  return run_device_perf(options, *workload);
}

}  // namespace

int run_perf(const PerfOptions& options) {
  const auto failed = [](const Error& error) {
    report_failure("perf", error);
    return error.code == Errc::kInvalid ? kExitUsage : 1;
  };
  if (const auto checked = check_options(options); !checked) return failed(checked.error());
  const auto report = options.device.empty() ? run_target_perf(options) : run_device_perf(options);
  if (!report) return failed(report.error());
  fmt::print("{}", options.host.output == OutputFormat::kJson ? to_text(to_json(*report)) + "\n" : to_table(*report));
  return is_clean(*report) ? 0 : 1;
}

}  // namespace weft::app
