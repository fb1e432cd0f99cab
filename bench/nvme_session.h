// The NVMe/TCP conversation around a load: from connect() to a controller that is ready, its I/O queues, and one command at a time with
// everything checked. Small and blocking on purpose; the initiator that people use is src/host. NVMe/TCP 1.0a, NVMe Base 2.0.
#pragma once
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/fd.h"
#include "bench/system.h"
#include "bench/workload.h"
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
    Digests digests;
  };
  explicit NvmeQueue(const Options& options);

  /// Sends one command, and `payload` in its capsule or for its R2Ts, as its SGL says; waits for its answer. Checks digests, where there are any.
  /// Requires: nothing else is outstanding.
  Answer execute(nvme::Sqe sqe, std::span<const std::byte> payload = {});
  const Fd& stream() const { return stream_; }
  /// What Connect gave to an admin queue.
  uint16_t cntlid() const { return cntlid_; }
  uint32_t maxh2cdata() const { return maxh2cdata_; }

 private:
  void initialize_connection();
  void connect(const Options& options);
  void send_capsule(const nvme::Sqe& sqe, std::span<const std::byte> payload);
  std::vector<std::byte> receive_pdu();

  Fd stream_;
  Digests digests_;
  uint16_t cntlid_ = 0;
  uint32_t maxh2cdata_ = 0;
};

/// As many controllers as it takes to have the I/O queues that are wanted.
class NvmeSession {
 public:
  struct Options {
    Endpoint endpoint;
    std::string subsystem_nqn;
    std::vector<uint32_t> nsids{1};  // of one block size
    size_t connections = 1;
    uint16_t queue_depth = 32;
    Digests digests;
  };
  explicit NvmeSession(const Options& options);

  std::span<const NvmeQueue> queues() const { return queues_; }
  /// Of each I/O queue: from connect() to the answer of its Connect command.
  std::span<const std::chrono::nanoseconds> set_up_times() const { return set_up_times_; }
  size_t controllers() const { return admins_.size(); }
  uint32_t maxh2cdata() const { return queues_.front().maxh2cdata(); }
  /// What a write's capsule may hold.
  uint32_t in_capsule_bytes() const { return in_capsule_bytes_; }
  /// The namespaces, cut to the capacity of the workload.
  BlockMap map(const Workload& workload) const;
  /// Executes a read and a write, as far as the workload has them, on every queue, looking at each byte of their headers. Returns the length of the
  /// last one's answer on the wire, which is the same on all queues, or the program ends. Blocking: not while a load runs.
  size_t probe(const Workload& workload);

 private:
  void add_controller(const Options& options);
  void identify_controller(NvmeQueue& admin);
  void identify_namespaces(NvmeQueue& admin);
  size_t probe(const Workload& workload, Direction direction);

  std::vector<uint32_t> nsids_;
  uint32_t in_capsule_bytes_ = 0;
  uint32_t block_bytes_ = 0;
  uint64_t block_count_ = 0;
  std::vector<NvmeQueue> admins_;
  std::vector<NvmeQueue> queues_;
  std::vector<std::chrono::nanoseconds> set_up_times_;
};

}  // namespace weft::bench
