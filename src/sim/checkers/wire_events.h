// What the wire monitor has read of the connections, in words of the protocol: for checkers that look at commands and
// associations rather than at PDUs. One thread. NVMe/TCP 1.0a §3, NVMe Base 2.0 §6.
#pragma once
#include "base/time.h"
#include "sim/wire_tap.h"
#include "wire/nvme/command.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace weft::sim {

/// One connection, which is one queue, as far as it has come.
struct WireQueue {
  uint64_t id = 0;  // never used twice in a run
  size_t host_machine = 0;
  size_t target_machine = 0;
  std::string name;             // for findings
  bool is_rdma = false;         // else TCP
  bool is_host_trusted = true;  // false: it may say anything, and nothing is judged once it has broken a rule

  // From the Connect command that was granted.
  bool is_connected = false;
  uint16_t qid = 0;
  uint16_t cntlid = 0;
  uint32_t entries = 1;  // SQSIZE + 1; room for the Connect before that
  bool has_flow_control = true;
  uint32_t kato_ms = 0;  // as the host asked
  std::string subnqn;
  std::string hostnqn;
  std::array<std::byte, 16> hostid{};

  bool is_admin() const { return qid == 0; }
};

/// A command capsule.
struct WireCommand {
  const nvme::Sqe& sqe;
  uint32_t in_capsule_bytes;
};

/// A response that the target has begun to send: a capsule, or the SUCCESS flag, which stands for a completion of
/// zeroes.
struct WireCompletion {
  const nvme::Sqe* sqe;  // of the command it ends; null: no such command is outstanding
  nvme::Cqe cqe;
  bool is_flag;
  Instant not_before;  // the target may have completed the command since then: earlier bytes kept the response waiting
  uint32_t length = 0;  // bytes of the command's data
};

/// Every call comes when the bytes have been sent or received to the point that says so. Bytes that the network has
/// spoiled are not "received".
class WireEvents {
 public:
  virtual ~WireEvents() = default;
  /// The target has begun to send ICResp, or has accepted the connection request: then `maxh2cdata` is 0.
  virtual void on_initialized(const WireQueue&, uint32_t /*maxh2cdata*/, Instant) {}
  /// The host has begun to send a capsule.
  virtual void on_command_sent(const WireQueue&, const WireCommand&, Instant) {}
  /// The target has received the whole capsule.
  virtual void on_command_taken(const WireQueue&, const WireCommand&, Instant) {}
  /// The target asks for `length` bytes of a command's data.
  virtual void on_r2t(const WireQueue&, const nvme::Sqe&, uint32_t /*length*/, Instant) {}
  virtual void on_completion(const WireQueue&, const WireCompletion&, Instant) {}
  /// A Connect was granted; comes after its on_completion(), and `queue` says what was granted.
  virtual void on_connected(const WireQueue&, Instant) {}
  /// Over TCP: bytes of the target's are on their way, or no more. While they are, it may have more than there is room for.
  virtual void on_backlog(const WireQueue&, bool /*is_there*/) {}
  /// `by` has closed, or was told that the connection is gone.
  virtual void on_closed(const WireQueue&, Side /*by*/, Instant) {}
};

}  // namespace weft::sim
