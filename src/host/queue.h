// What the initiator library asks of a transport: queues that take commands. Implemented by host/tcp_transport.h over a byte stream and
// by the fakes of the tests. Everything here belongs to one reactor.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "wire/nvme/command.h"

namespace weft::host {

/// One command and its data. Embedded in who wants to know its end; must stay where it is until on_completed().
class Command {
 public:
  nvme::Sqe sqe{};                 // submit() fills in the CID; PSDT and the SGL are the queue's affair
  std::span<const std::byte> out;  // data for the controller; at most one of `out` and `in` has bytes
  std::span<std::byte> in;         // where the controller's data goes

  /// The end, called once, never from inside submit(). A command that the connection took with it ends with "Command Aborted By Host".
  /// May submit again; must not destroy the queue.
  virtual void on_completed(const nvme::Cqe& cqe) = 0;

 protected:
  ~Command() = default;
};

/// Digests as --digest and ICReq have them.
struct Digests {
  bool header = false;
  bool data = false;
  friend bool operator==(Digests, Digests) = default;
};

inline constexpr uint16_t kQueueEntriesMax = 4096;  // CID bits 11:0 are an index

enum class QueueKind : uint8_t { kAdmin, kIo };

struct QueueOptions {
  QueueKind kind = QueueKind::kAdmin;
  uint16_t qid = 0;
  uint16_t cntlid = 0;          // of an I/O queue: the controller's
  uint16_t entries = 32;        // SQSIZE + 1: commands that may be outstanding
  uint32_t in_capsule_bytes = 0;  // of an I/O command's data, from IOCCSZ
  uint16_t descriptors_max = 1;   // of an I/O command's SGL, from MSDBD
  Digests digests;
};

/// News of a queue. Neither call may destroy it.
class QueueEvents {
 public:
  /// Commands can be submitted.
  virtual void on_open() = 0;
  /// The connection has ended, or never came to be; every command has completed. Called once, also after close().
  virtual void on_closed(const Error& reason) = 0;

 protected:
  ~QueueEvents() = default;
};

class Queue {
 public:
  /// Ends the connection at once: outstanding commands complete as aborted, and on_closed() comes from inside if it has not come before.
  virtual ~Queue() = default;
  /// False when closed, not yet open, or as many commands are outstanding as the queue has entries.
  virtual bool has_room() const = 0;
  /// Requires: has_room().
  virtual void submit(Command& command) = 0;
  /// From the Connect response on: no SQ flow control, so that data may stand for its own success (NVMe/TCP's SUCCESS flag).
  virtual void disable_flow_control() = 0;
  /// Ends the connection; on_closed(reason) follows, not from inside. Does nothing when it is ending already.
  virtual void close(const Error& reason) = 0;
};

/// Where a controller is.
struct Endpoint {
  std::string host;  // numeric address
  uint16_t port = 4420;
  std::string from;  // numeric address of this host; empty: the system's choice, and the only one that NVMe/TCP takes
};

/// Memory out of which and into which data moves without a copy.
class MemoryLender {
 public:
  virtual ~MemoryLender() = default;
  /// Empty: there is none, or none left; then any other does as well.
  virtual std::span<std::byte> take_memory(size_t /*size_bytes*/) { return {}; }
  /// As it was taken. Requires: no command uses it.
  virtual void give_back_memory(std::span<std::byte> /*memory*/) {}
};

class Transport : public MemoryLender {
 public:
  /// Starts to connect; on_open() or on_closed() follows, not from inside. Errors: what the system says at once; then no event comes.
  /// Outlives: the transport and `events` outlive the queue.
  virtual Result<std::unique_ptr<Queue>> open(const Endpoint& endpoint, const QueueOptions& options, QueueEvents& events) = 0;
};

}  // namespace weft::host
