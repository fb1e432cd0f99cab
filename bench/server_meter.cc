#include "bench/server_meter.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>

namespace weft::bench {
namespace {

constexpr std::string_view kEvents = "/sys/kernel/tracing/events/";
constexpr const char* kSome = "ret > 0";
constexpr const char* kMoreThanACounter = "ret > 8";

struct Kind {
  const char* tracepoint;
  const char* filter;
  uint64_t SystemCalls::*sum;
};
constexpr std::array kKinds{
    Kind{"raw_syscalls/sys_enter", nullptr, &SystemCalls::all},
    Kind{"syscalls/sys_enter_io_uring_enter", nullptr, &SystemCalls::io_uring},
    Kind{"syscalls/sys_exit_recvfrom", kSome, &SystemCalls::receives},
    Kind{"syscalls/sys_exit_recvmsg", kSome, &SystemCalls::receives},
    Kind{"syscalls/sys_exit_readv", kSome, &SystemCalls::receives},
    Kind{"syscalls/sys_exit_read", kMoreThanACounter, &SystemCalls::receives},
    Kind{"syscalls/sys_exit_sendto", kSome, &SystemCalls::sends},
    Kind{"syscalls/sys_exit_sendmsg", kSome, &SystemCalls::sends},
    Kind{"syscalls/sys_exit_writev", kSome, &SystemCalls::sends},
    Kind{"syscalls/sys_exit_write", kMoreThanACounter, &SystemCalls::sends},
};

uint64_t id_of(const std::string& tracepoint) {
  uint64_t id = 0;
  if (!(std::ifstream(std::string(kEvents) + tracepoint + "/id") >> id)) die("no tracepoint " + tracepoint + " (root? is tracefs mounted?)");
  return id;
}

}  // namespace

ServerMeter::ServerMeter(int pid, Counts counts) : pid_(pid) {
  if (pid == 0 || counts == Counts::kCpuTime) return;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    for (const Kind& kind : kKinds) count(std::stoi(task.path().filename()), kind.tracepoint, kind.filter, kind.sum);
  }
  if (counters_.empty()) die("no threads of process " + std::to_string(pid));
}

void ServerMeter::count(int tid, const std::string& tracepoint, const char* filter, uint64_t SystemCalls::*sum) {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.size = sizeof attributes;
  attributes.config = id_of(tracepoint);
  Fd fd{int(::syscall(SYS_perf_event_open, &attributes, tid, -1, -1, PERF_FLAG_FD_CLOEXEC))};
  if (fd.get() < 0) die("perf_event_open");
  if (filter != nullptr && ::ioctl(fd.get(), PERF_EVENT_IOC_SET_FILTER, filter) != 0) die("a tracepoint's filter");
  counters_.push_back({.fd = std::move(fd), .sum = sum});
}

SystemCalls ServerMeter::counted() const {
  SystemCalls calls;
  for (const Counter& counter : counters_) {
    uint64_t value = 0;
    if (::read(counter.fd.get(), &value, sizeof value) != ssize_t{sizeof value}) die("a counter of system calls");
    calls.*counter.sum += value;
  }
  return calls;
}

void ServerMeter::start() {
  if (pid_ == 0) return;
  calls_from_ = counted();
  cpu_from_ = cpu_time_of(pid_);
}

ServerUsage ServerMeter::stop() {
  ServerUsage usage;
  if (pid_ == 0) return usage;
  const CpuTime cpu = cpu_time_of(pid_);
  usage.cpu = {.total = cpu.total - cpu_from_.total,
               .user = cpu.user - cpu_from_.user,
               .system = cpu.system - cpu_from_.system,
               .waited = cpu.waited - cpu_from_.waited};
  if (!counters_.empty()) {
    const SystemCalls calls = counted();
    usage.system_calls = {.all = calls.all - calls_from_.all,
                          .receives = calls.receives - calls_from_.receives,
                          .sends = calls.sends - calls_from_.sends,
                          .io_uring = calls.io_uring - calls_from_.io_uring};
  }
  return usage;
}

}  // namespace weft::bench
