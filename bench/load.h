// A load that is never the bottleneck: it keeps every connection's queue full, or sends at a rate, and drops what it reads. One thread, which polls;
// one clock read for each receive and send. Connections come in groups, each with a workload and figures of its own.
// Where all answers are alike, they are counted by bytes, and the payload of reads is dropped inside the kernel (MSG_TRUNC). That is only right while
// every answer has the length that is expected, so the caller looks at a whole answer on each connection before and after (NvmeSession::probe); an
// error in between leaves the count short, and the end waits for the full count. Answers to writes are as long when they fail, so their statuses
// are looked at. Where answers differ (mixed directions, writes by R2T) they are received into one buffer, and every header is read.
#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/fd.h"
#include "bench/in_flight.h"
#include "bench/latency_histogram.h"
#include "bench/server_meter.h"
#include "bench/workload.h"

namespace weft::bench {

struct GroupOptions {
  std::string name;
  Workload workload;
  BlockMap map;
  size_t queue_depth = 32;
  size_t response_bytes = 0;     // of each answer, where all are alike
  uint32_t maxh2cdata = 1 << 20;  // bytes of one H2CData
  double rate = 0;               // commands per second of the group, whether they are answered or not; 0: as fast as they are answered
};

struct LoadOptions {
  std::chrono::milliseconds warm_up{200};
  std::chrono::milliseconds duration{1000};
  int server_pid = 0;  // whose cost is measured; 0: nobody's
  ServerMeter::Counts counts = ServerMeter::Counts::kCpuTime;
};

struct GroupResult {
  std::string name;
  bool knows_cids = false;  // or latencies assume that answers come in the order of the commands
  uint64_t ios = 0;         // completed in the measured time
  uint64_t receives = 0;    // of this side
  uint64_t sends = 0;
  uint64_t connection_ios_min = 0;
  uint64_t connection_ios_max = 0;
  LatencyHistogram latencies;  // from sending to receiving; at a rate from when it was due
};

struct LoadResult {
  std::chrono::nanoseconds elapsed{};
  ServerUsage server;
  std::vector<GroupResult> groups;
};

class Load {
 public:
  explicit Load(const LoadOptions& options);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  /// Adds a group with its connections, on which commands can be sent. Borrows the streams.
  void add(const GroupOptions& options, std::span<const Fd* const> streams);
  /// Runs the warm-up and the measured time, then waits until everything outstanding has been answered. Ends the program when a connection
  /// is closed or nothing at all arrives for 5 s. Requires: a group; called once.
  LoadResult run();

 private:
  struct Group;
  struct Connection;
  struct Answers;  // the visitor of a framed connection
  enum class Phase : uint8_t { kWarmUp, kMeasured, kDraining };

  void cycle(Instant now);
  void send_what_is_due(Group& group, Instant now);
  void receive(Connection& connection);
  void receive_alike(Connection& connection);
  void receive_framed(Connection& connection);
  void completed(Connection& connection, Instant sent_at, Instant now, uint32_t commands);
  void make(Connection& connection, Instant sent_at);
  void send(Connection& connection, Instant now);
  void flush(Connection& connection);
  void watch(Connection& connection);
  void begin_measurement(Instant now);
  void end_measurement(Instant now);
  uint64_t ios() const;

  const LoadOptions options_;
  Fd epoll_;
  ServerMeter meter_;
  std::vector<std::byte> buffer_;  // what is received into, when anything is
  std::vector<std::unique_ptr<Group>> groups_;
  Phase phase_ = Phase::kWarmUp;
  uint64_t outstanding_ = 0;
  Instant last_completion_;
  Instant measured_from_;
  LoadResult result_;
};

}  // namespace weft::bench
