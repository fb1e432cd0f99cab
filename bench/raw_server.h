// The raw ceiling: a server that moves the bytes of NVMe/TCP commands without a protocol. It counts the bytes that it receives, and for every
// `request_bytes` of them it sends `response_bytes`: one receive and one send per connection and cycle, no parsing. Only where requests differ
// (mixed directions, writes by R2T) it looks at their types and opcodes, see raw_requests.h. What it reaches on one core is the most that any
// target can reach with these system calls. One thread; lives until SIGTERM or SIGINT.
#pragma once
#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <vector>

#include "bench/fd.h"
#include "bench/raw_medium.h"
#include "bench/raw_requests.h"
#include "bench/system.h"
#include "bench/workload.h"

namespace weft::bench {

struct RawServerOptions {
  Workload workload;
  RawMedium::Kind medium = RawMedium::Kind::kHot;
  std::chrono::microseconds spin{0};  // how long to poll after the last work before blocking
};

struct RawServerCounts {
  uint64_t ios = 0;
  uint64_t receives = 0;  // those that brought bytes
  uint64_t sends = 0;     // those that took bytes
};

class RawServer {
 public:
  RawServer(const RawServerOptions& options, Fd listener);
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  /// Serves until SIGTERM or SIGINT.
  RawServerCounts run();

 private:
  struct Connection {
    Fd fd;
    size_t request_offset = 0;   // bytes of the request that is arriving
    size_t response_offset = 0;  // bytes of the response that is leaving
    size_t owed_bytes = 0;       // to send
    uint64_t block = 0;          // where the request that is arriving is stored
    std::optional<RawRequests> requests;  // instead of the four above, where requests differ
    bool waits_to_send = false;

    bool owes() const { return requests ? requests->has_answers() : owed_bytes > 0; }
    std::list<Connection>::iterator self;
  };
  enum class Outcome : uint8_t { kAlive, kClosed };

  void accept_all();
  Outcome serve(Connection& connection);
  Outcome receive(Connection& connection);
  Outcome send(Connection& connection);
  ssize_t send_gathered(const Connection& connection, size_t count);
  size_t gather_cold(const Connection& connection);
  void store(Connection& connection, std::span<const std::byte> received);
  void watch(Connection& connection);

  const RawServerOptions options_;
  const size_t request_bytes_;
  const size_t response_bytes_;
  Fd listener_;
  Fd epoll_;
  Fd signals_;
  std::list<Connection> connections_;
  std::vector<std::byte> receive_buffer_;
  RawMedium medium_;
  std::vector<iovec> gathered_;
  RawServerCounts counts_;
};

}  // namespace weft::bench
