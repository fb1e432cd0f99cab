// The raw ceiling: a server that moves the bytes of NVMe/TCP commands without a protocol. It counts the bytes that it receives, and for every
// `request_bytes` of them it sends `response_bytes`: one receive and one send per connection and cycle, no parsing. What it reaches on one
// core is the most that any target can reach with these system calls. One thread; lives until SIGTERM or SIGINT.
#pragma once
#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "base/prng.h"
#include "bench/fd.h"
#include "bench/system.h"
#include "bench/workload.h"

namespace weft::bench {

/// Where the payload comes from and goes to.
enum class Medium : uint8_t {
  kHot,   // one buffer that stays in the cache; written payload is dropped
  kCold,  // random blocks of a region in huge pages; written payload is copied there
};

struct RawServerOptions {
  Workload workload;
  Medium medium = Medium::kHot;
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
  ~RawServer();
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
    bool waits_to_send = false;
    std::list<Connection>::iterator self;
  };
  enum class Outcome : uint8_t { kAlive, kClosed };

  void accept_all();
  Outcome serve(Connection& connection);
  Outcome receive(Connection& connection);
  Outcome send(Connection& connection);
  size_t gather_cold(const Connection& connection);
  void store(Connection& connection, std::span<const std::byte> received);
  void watch(Connection& connection);
  std::span<std::byte> block(uint64_t index) const { return cold_.subspan(index * options_.workload.io_bytes, options_.workload.io_bytes); }
  uint64_t random_block() { return prng_.below(cold_.size() / options_.workload.io_bytes); }

  const RawServerOptions options_;
  const size_t request_bytes_;
  const size_t response_bytes_;
  Fd listener_;
  Fd epoll_;
  Fd signals_;
  std::list<Connection> connections_;
  std::vector<std::byte> receive_buffer_;
  std::vector<std::byte> hot_;
  std::span<std::byte> cold_;
  std::vector<iovec> gathered_;
  Prng prng_{1};
  RawServerCounts counts_;
};

}  // namespace weft::bench
