// The NVMe/TCP conversation around a load: from connect() to a controller that is ready, its I/O queues, and one command at a time with
// everything checked. Small and blocking on purpose; the initiator that people use is src/host. NVMe/TCP 1.0a, NVMe Base 2.0.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/command_ring.h"
#include "bench/fd.h"
#include "bench/system.h"
#include "wire/nvme/command.h"

namespace weft::bench {

/// Payload of a command, and how it travelled.
struct Answer {
  nvme::Cqe cqe{};              // all zero when C2HData stood for it
  std::vector<std::byte> data;  // what C2HData brought
  size_t wire_bytes = 0;        // all PDUs of the answer
};

/// One queue: a connection on which ICReq and Connect have been answered. Ends the program on every answer that is not success.
class NvmeQueue {
 public:
  struct Options {
    Endpoint endpoint;
    std::string subsystem_nqn;
    uint16_t qid = 0;
    uint16_t depth = 32;  // SQSIZE + 1, at least 2
    uint16_t cntlid = 0xffff;
  };
  explicit NvmeQueue(const Options& options);

  /// Sends one command, with `payload` in its capsule, and waits for its answer. Requires: nothing else is outstanding.
  Answer execute(nvme::Sqe sqe, std::span<const std::byte> payload = {});
  const Fd& stream() const { return stream_; }
  /// What Connect gave to an admin queue.
  uint16_t cntlid() const { return cntlid_; }

 private:
  void initialize_connection();
  void connect(const Options& options);

  Fd stream_;
  uint16_t cntlid_ = 0;
};

/// As many controllers as it takes to have the I/O queues that are wanted.
class NvmeSession {
 public:
  struct Options {
    Endpoint endpoint;
    std::string subsystem_nqn;
    uint32_t nsid = 1;
    size_t connections = 1;
    uint16_t queue_depth = 32;
  };
  explicit NvmeSession(const Options& options);

  std::span<const NvmeQueue> queues() const { return queues_; }
  /// The namespace, cut to the capacity of the workload.
  BlockMap map(const Workload& workload) const;
  /// Executes one command of the workload on every queue, looking at each byte of its headers. Returns the length of an answer on the wire,
  /// which is the same on all queues and each time, or the program ends. Blocking: not while a load runs.
  size_t probe(const Workload& workload);

 private:
  void add_controller(const Options& options);
  void identify_namespace(NvmeQueue& admin);

  uint32_t nsid_;
  uint32_t block_bytes_ = 0;
  uint64_t block_count_ = 0;
  std::vector<NvmeQueue> admins_;
  std::vector<NvmeQueue> queues_;
};

}  // namespace weft::bench
