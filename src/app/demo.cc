#include "app/demo.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "app/connect_line.h"
#include "app/discover.h"
#include "app/host_runtime.h"
#include "app/perf.h"
#include "app/report_failure.h"
#include "app/target_process.h"
#include "base/units.h"
#include "control/address.h"
#include "platform/linux/process.h"
#include "platform/linux/terminal.h"
#include "wire/nvme/identify.h"
#include "wire/text_field.h"

namespace weft::app {
namespace {

constexpr uint64_t kRamBytes = uint64_t{1} << 30;
constexpr uint64_t kFileBytes = uint64_t{8} << 30;
constexpr char kFileName[] = "namespace-2.img";
constexpr Duration kStatusPeriod = seconds(1);
constexpr int kExitUsage = 2;

control::Config demo_config(const DemoOptions& options, const net::Address& address) {
  control::Config config;
  config.listeners.push_back({.at = {}, .address = address, .scheme = {}});
  control::SubsystemConfig subsystem;
  subsystem.allow_any_host = control::is_loopback(address);
  subsystem.namespaces.push_back({.at = {}, .nsid = 1, .device = {.kind = control::DeviceKind::kRam, .size_bytes = kRamBytes}});
  subsystem.namespaces.push_back(
      {.at = {}, .nsid = 2, .device = {.kind = control::DeviceKind::kFile, .path = options.directory + "/" + kFileName, .size_bytes = kFileBytes}});
  config.subsystems.push_back(std::move(subsystem));
  return config;
}

HostOptions host_options(const net::Address& address, const std::string& subnqn) {
  HostOptions options;
  options.address = address.host;
  options.service = address.port;
  options.subnqn = subnqn;
  return options;
}

/// Step one of the check: the subsystem is in the discovery log.
Task<Result<size_t>> check_discovery(Reactor& reactor, host::Transport& transport, HostOptions options) {
  const std::string subnqn = std::exchange(options.subnqn, {});
  const auto log = co_await discover(reactor, transport, options);
  if (!log) co_return std::unexpected(log.error());
  for (const auto& entry : log->entries) {
    if (text_of(entry.subnqn) == subnqn) co_return log->entries.size();
  }
  co_return fail(Errc::kNotFound, fmt::format("the discovery log does not list {}", subnqn));
}

/// Step two: the controller and both namespaces say who they are.
Task<Result<void>> check_identify(Reactor& reactor, host::Transport& transport, HostOptions options) {
  const auto connect = connect_options(options);
  if (!connect) co_return std::unexpected(connect.error());
  host::Controller controller{reactor, transport, *connect};
  if (auto done = co_await controller.connect(); !done) co_return done;
  fmt::print("identify   {}, serial {}\n", text_of(controller.identity().mn), text_of(controller.identity().sn));
  auto id = std::make_unique<nvme::IdentifyNamespace>();
  for (uint32_t nsid = 1; nsid <= 2; ++nsid) {
    const std::span<std::byte> buffer{reinterpret_cast<std::byte*>(id.get()), sizeof *id};
    if (auto done = co_await controller.identify({.cns = nvme::Cns::kNamespace, .nsid = nsid}, buffer); !done) co_return done;
    const uint32_t block = 1u << (id->lbaf[id->format_index()].lbads & 31);
    fmt::print("           namespace {}: {} in blocks of {} bytes ({})\n", nsid, format_size(uint64_t{id->nsze} * block), block,
               nsid == 1 ? "memory" : kFileName);
  }
  co_return co_await controller.shutdown();
}

/// All steps; true when every one was good. Writes to the namespace in memory only: the file keeps what a host has put there.
Task<Result<bool>> check(Reactor& reactor, host::Transport& transport, HostOptions options, double seconds_long) {
  const auto records = co_await check_discovery(reactor, transport, options);
  if (!records) co_return std::unexpected(records.error());
  fmt::print("discovery  {} records, {} among them\n", *records, options.subnqn);
  if (auto done = co_await check_identify(reactor, transport, options); !done) co_return std::unexpected(done.error());
  fmt::print("I/O        {:.0f} s of random reads and writes of 4 KiB over TCP, every block verified\n", seconds_long);
  std::fflush(stdout);
  PerfOptions perf_options;
  perf_options.host = options;
  perf_options.pattern = host::Pattern::kRandRw;
  perf_options.is_verified = true;
  perf_options.time_s = seconds_long;
  perf_options.has_progress = true;
  const auto report = co_await perf(reactor, transport, perf_options);
  if (!report) co_return std::unexpected(report.error());
  fmt::print("{}", to_table(*report));
  co_return is_clean(*report) && report->blocks_verified > 0;
}

/// Rewrites one line until a signal comes.
void show_status(TargetProcess& target, platform::StopSignals& signals) {
  const char* line_start = platform::is_stderr_terminal() ? "\r" : "";
  const char* line_end = platform::is_stderr_terminal() ? "" : "\n";
  auto before = target.traffic();
  for (;;) {
    const auto woken = signals.wait(kStatusPeriod, target.log_fd());
    if (woken == platform::StopSignals::Woken::kSignal) break;
    target.drain_log();
    if (woken == platform::StopSignals::Woken::kOther) continue;
    const auto now = target.traffic();
    const auto rate = [](uint64_t after, uint64_t earlier) { return after - earlier; };  // the period is one second
    fmt::print(stderr, "{}{} connections, {:>8} reads/s, {:>8} writes/s, {:>9} read/s, {:>9} written/s, {} media errors   {}", line_start,
               target.totals().connections, rate(now.reads, before.reads), rate(now.writes, before.writes),
               format_size(rate(now.read_bytes, before.read_bytes)), format_size(rate(now.written_bytes, before.written_bytes)), now.media_errors, line_end);
    std::fflush(stderr);
    before = now;
  }
  fmt::print(stderr, "\n");
}

Error why_not_started(const Error& error, const std::string& listen) {
  if (std::string_view{error.what()}.find("in use") == std::string_view::npos) return error;
  return {error.code, fmt::format("{} is taken by another program; stop it or choose another address with --listen 127.0.0.1:PORT ({})", listen, error.what())};
}

}  // namespace

void add_demo_options(CLI::App& command, DemoOptions& options) {
  command.add_option("--dir", options.directory, "Folder of the file namespace; made when missing")->capture_default_str();
  command.add_option("--listen", options.listen, "Address: HOST:PORT, numeric; port 0 takes any free one")->capture_default_str();
  command.add_option("--check-time", options.check_s, "Seconds of verified I/O")->capture_default_str()->check(CLI::Range(0.1, 3600.0));
  command.add_flag("--once", options.is_once, "End after the check, with its verdict as the exit code");
  command.footer(
      "Examples:\n"
      "  weft demo --once\n"
      "  weft demo --dir /tmp/demo --listen 127.0.0.1:4421\n"
      "The check writes to namespace 1, which is memory; namespace 2 is a sparse file that keeps what hosts write.");
}

int run_demo(const DemoOptions& options) {
  const auto address = control::parse_address(options.listen);
  if (!address) {
    report_failure("demo", address.error());
    return kExitUsage;
  }
  std::error_code made;
  std::filesystem::create_directories(options.directory, made);
  if (made) return report_failure("demo", Error{Errc::kIo, fmt::format("cannot make {}: {}", options.directory, made.message())});
  auto signals = platform::StopSignals::create();
  if (!signals) return report_failure("demo", signals.error());
  auto target = TargetProcess::start(demo_config(options, *address), {.state_directory = options.directory});
  if (!target) return report_failure("demo", why_not_started(target.error(), options.listen));
  const net::Address bound = (*target)->listening().front().address;
  const std::string subnqn = (*target)->config().subsystems.front().nqn;
  fmt::print("listening  {}\n", control::to_text(bound));

  auto runtime = HostRuntime::create(fabrics::Trtype::kTcp);
  if (!runtime) return report_failure("demo", runtime.error());
  const auto passed = (*runtime)->run(check((*runtime)->reactor(), (*runtime)->transport(), host_options(bound, subnqn), options.check_s));
  (*target)->drain_log();
  if (!passed) report_failure("demo", passed.error());
  const bool is_good = passed && *passed;
  fmt::print("{}\n", is_good ? "the check passed" : "THE CHECK FAILED");
  if (is_good) {
    fmt::print("\nConnect a Linux host on this machine (as root):\n  {}\n", connect_line({fabrics::Trtype::kTcp, bound.host, std::to_string(bound.port), subnqn, ""}));
    if (!options.is_once) fmt::print("Ctrl-C ends the target.\n");
    std::fflush(stdout);
    if (!options.is_once) show_status(**target, *signals);
  }
  if (!(*target)->stop()) {
    std::fflush(nullptr);
    std::_Exit(1);  // a device kept what it was given: nothing can be tidied up (TargetProcess::stop)
  }
  return is_good ? 0 : 1;
}

}  // namespace weft::app
