// One association with a controller, seen from the host: the admin queue, I/O queues, keep-alive, and the admin commands that the tools
// use. It goes through the steps of connecting in the order a Linux host does, and refuses what a Linux host refuses. Every step has a
// bound in time. Belongs to one reactor; the tasks run there, one at a time. NVM Express Base 2.0 §3.5 (initialisation), §6 (Fabrics).
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/task.h"
#include "host/identity.h"
#include "host/managed_queue.h"
#include "host/queue.h"
#include "wire/nvme/identify.h"
#include "wire/nvme/log_pages.h"

namespace weft::host {

enum class SqFlow : uint8_t { kControlled, kDisabled };

struct ConnectOptions {
  Endpoint endpoint;
  std::string subnqn;
  HostIdentity host;
  Digests digests;
  uint16_t io_queues = 0;       // to ask for; fewer may be granted
  uint16_t queue_entries = 128;  // of an I/O queue; fewer when CAP.MQES or MAXCMD say so
  SqFlow sq_flow = SqFlow::kControlled;
  Duration keep_alive = seconds(5);  // KATO; zero: none
  Duration timeout = seconds(10);    // of each step
};

/// What a Get Log Page asks for.
struct LogRequest {
  nvme::LogPage page;
  uint32_t nsid = 0;
  uint64_t offset_bytes = 0;
  uint8_t lsp = 0;
};

/// What an Identify asks for.
struct IdentifyRequest {
  nvme::Cns cns;
  uint32_t nsid = 0;
  nvme::Csi csi = nvme::Csi::kNvm;
};

class KeepAlive;

class Controller {
 public:
  static constexpr uint16_t kAdminEntries = 32;  // of the admin queue

  /// Outlives: reactor and transport outlive the controller.
  Controller(Reactor& reactor, Transport& transport, ConnectOptions options);
  /// Closes every queue. Requires: no task of this controller is in progress.
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  /// From the transport connection to the last I/O queue. On failure the error says what was tried on what; the controller is then of no further use.
  Task<Result<void>> connect();
  /// Closes the I/O queues, asks for a normal shutdown (CC.SHN), waits for it in bounded time, closes the admin queue.
  Task<Result<void>> shutdown();

  /// Requires for all of these: connect() has succeeded. The buffer is the caller's, and has 4096 bytes for Identify.
  Task<Result<void>> identify(IdentifyRequest request, std::span<std::byte> buffer);
  Task<Result<void>> read_log(LogRequest request, std::span<std::byte> buffer);
  Task<Result<uint64_t>> property(uint32_t offset, size_t size);

  const ConnectOptions& options() const { return options_; }
  Transport& transport() { return transport_; }
  uint16_t cntlid() const { return cntlid_; }
  uint64_t cap() const { return cap_; }
  uint32_t version() const { return version_; }
  const nvme::IdentifyController& identity() const { return *identity_; }
  /// Bytes that one Read or Write may move.
  uint64_t transfer_max() const;
  uint16_t queue_entries() const { return queue_entries_; }
  size_t io_queue_count() const { return io_queues_.size(); }
  Queue& io_queue(size_t index) { return io_queues_[index]->queue(); }
  /// For commands that have no call of their own here. Leave room for Keep Alive. Requires: connect() has succeeded.
  Queue& admin_queue() { return admin_.queue(); }
  /// Why the association has ended, if it has; kInvalid: the target broke a rule of the protocol.
  const Error* failure() const { return failure_ ? &*failure_ : nullptr; }

 private:

  struct Call {
    const char* what;
    nvme::Sqe sqe{};
    std::span<const std::byte> out;
    std::span<std::byte> in;
  };

  // The steps of connect(), in order.
  Task<Result<void>> open(ManagedQueue& queue, QueueOptions options);
  Task<Result<void>> connect_queue(ManagedQueue& queue, uint16_t qid, uint16_t entries);
  Task<Result<void>> enable();
  Task<Result<void>> wait_ready(bool is_ready);
  Task<Result<void>> identify_controller();
  Task<Result<void>> open_io_queues();
  Result<void> check_identity() const;

  Task<Result<nvme::Cqe>> execute(Call call);
  Task<Result<void>> set_property(uint32_t offset, uint32_t value);
  /// An error with endpoint and subsystem in front.
  Error error(Errc code, std::string_view what) const;
  void on_queue_closed(const Error& reason);
  void on_io_queue_closed(const Error& reason);
  void close_all(const Error& reason);
  bool is_discovery() const;

  Reactor& reactor_;
  Transport& transport_;
  ConnectOptions options_;
  ManagedQueue admin_;
  std::vector<std::unique_ptr<ManagedQueue>> io_queues_;
  std::unique_ptr<KeepAlive> keep_alive_;
  std::unique_ptr<nvme::IdentifyController> identity_;
  std::optional<Error> failure_;
  bool is_shutting_down_ = false;
  uint64_t cap_ = 0;
  uint32_t version_ = 0;
  uint16_t cntlid_ = 0;
  uint16_t queue_entries_ = 0;
};

}  // namespace weft::host
