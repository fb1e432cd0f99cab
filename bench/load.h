// A closed loop that is never the bottleneck: it keeps every connection's queue full, drops the payload of reads inside the kernel (MSG_TRUNC)
// and counts completions by bytes. That is only right while every answer has the length that is expected, so the caller looks at a whole answer
// on each connection before and after (NvmeSession::probe); an error in between leaves the count short, and the end waits for the full count.
// Answers to writes are as long when they fail, so their statuses are looked at. One thread, which polls.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/command_ring.h"
#include "bench/fd.h"
#include "bench/system.h"

namespace weft::bench {

struct LoadOptions {
  size_t queue_depth = 32;
  size_t response_bytes = 0;
  std::chrono::milliseconds warm_up{200};
  std::chrono::milliseconds duration{1000};
  int server_pid = 0;  // whose CPU time is read; 0: nobody's
};

struct LoadResult {
  uint64_t ios = 0;                  // completed in the measured time
  std::chrono::nanoseconds elapsed{};
  CpuTime server{};                  // spent in the measured time
  uint64_t receives = 0;             // of this side
  uint64_t sends = 0;
  std::vector<uint32_t> round_trips_ns;  // sorted; filled at queue depth 1 only, where no order is assumed
};

class Load {
 public:
  Load(const LoadOptions& options, const Workload& workload, const BlockMap& map);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  /// Adds a connection on which commands can be sent. Borrows it.
  void add(const Fd& stream);
  /// Runs the warm-up and the measured time, then waits until everything outstanding has been answered. Ends the program when a connection
  /// is closed or nothing at all arrives for 5 s.
  LoadResult run();

 private:
  struct Connection;
  using Instant = std::chrono::steady_clock::time_point;
  enum class Phase : uint8_t { kWarmUp, kMeasured, kDraining };

  void cycle(Instant now);
  void receive(Connection& connection, Instant now);
  ssize_t receive_bytes(Connection& connection);
  void send(Connection& connection);
  void watch(Connection& connection);
  void begin_measurement(Instant now);
  void end_measurement(Instant now);

  const LoadOptions options_;
  const Workload workload_;
  const BlockMap map_;
  Fd epoll_;
  std::vector<std::byte> capsules_;  // answers to writes
  std::vector<std::unique_ptr<Connection>> connections_;
  Phase phase_ = Phase::kWarmUp;
  uint64_t outstanding_ = 0;
  Instant last_completion_;
  Instant measured_from_;
  CpuTime server_from_;
  LoadResult result_;
};

}  // namespace weft::bench
