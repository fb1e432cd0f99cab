// What a server's process costs between two instants: CPU time, how long it waited for its CPU, and, if asked, its system calls. System calls are
// counted by the kernel's tracepoints (perf_event_open; needs root and tracefs), which slows every call of the machine, so they are asked for in
// runs of their own.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/fd.h"
#include "bench/system.h"

namespace weft::bench {

struct SystemCalls {
  uint64_t all = 0;
  uint64_t receives = 0;  // that brought bytes: recv*, readv, read of more than the 8 bytes of an eventfd or a timer
  uint64_t sends = 0;     // that took bytes: send*, writev, write of more than 8
  uint64_t io_uring = 0;  // io_uring_enter: where there are any, receives and sends may have gone that way, unseen
};

struct ServerUsage {
  CpuTime cpu;
  std::optional<SystemCalls> system_calls;
};

class ServerMeter {
 public:
  enum class Counts : uint8_t { kCpuTime, kSystemCallsToo };

  /// Measures all threads that the process has now; pid 0: nothing. Ends the program when the system calls cannot be counted.
  ServerMeter(int pid, Counts counts);
  void start();
  /// Since start().
  ServerUsage stop();

 private:
  struct Counter {
    Fd fd;
    uint64_t SystemCalls::*sum;
  };
  void count(int tid, const std::string& tracepoint, const char* filter, uint64_t SystemCalls::*sum);
  SystemCalls counted() const;

  int pid_;
  CpuTime cpu_from_;
  SystemCalls calls_from_;
  std::vector<Counter> counters_;
};

}  // namespace weft::bench
