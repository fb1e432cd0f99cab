// What a queue asks of the connection that carries it. Implemented by each transport's connection object; every call comes on its reactor.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "wire/nvme/status.h"

namespace weft::nvmf {

struct Command;

enum class TransportType : uint8_t { kRdma = 1, kTcp = 3, kLoop = 0xfe };  // TRTYPE of a discovery entry

/// Keyed data block descriptors of one command over RDMA: MSDBD.
inline constexpr uint8_t kRdmaDescriptorsMax = 16;

/// Where a queue's connection came from and arrived.
struct Origin {
  TransportType type = TransportType::kLoop;
  std::string local_host;  // address without brackets, as the peer reached us; never a wildcard
  uint16_t local_port = 0;
  bool is_ipv6 = false;
  std::string peer_host;
  uint16_t peer_port = 0;
  bool is_loopback_listener = false;  // the listener is bound to a loopback address
};

enum class CloseReason : uint8_t {
  kControllerReset,     // CC.EN 1 to 0, or shutdown: this I/O queue is deleted
  kAssociationEnded,    // the admin queue is gone
  kKeepAliveExpired,
  kHandshakeTimeout,
  kShutdown,            // the target stops
  kDisconnect,          // a Disconnect command has been answered
  kHostNotAllowed,      // the subsystem does not admit the host any more
  kSubsystemRemoved,
};
std::string_view name_of(CloseReason reason);

/// What the command's SGL says about its data, decoded by the transport.
struct DataDescriptor {
  enum class Kind : uint8_t { kNone, kInCapsule, kRemote };
  Kind kind = Kind::kNone;
  uint32_t length = 0;  // bytes
  nvme::Status error;   // not ok: what a command that transfers data gets (bad SGL type, offset, length, a wrong data digest)
};

class TransportOps {
 public:
  /// Brings command.transfer_length bytes of the host's data into command.data; Queue::received() follows, or Queue::detach().
  virtual void start_receive(Command& command) = 0;
  /// Sends command.response_data (if the status is success) and the completion (Queue::make_cqe()); Queue::responded() follows when the last
  /// byte has left and neither the data nor the slot is needed any more.
  virtual void respond(Command& command) = 0;
  /// An in-capsule buffer is there: submit() again what it answered with kStalled.
  virtual void resume() = 0;
  /// Takes no new command from the peer from now on; those begun go on. Idempotent.
  virtual void stop_receiving() = 0;
  /// Ends the connection: what respond() was given is still tried to be sent once; then Queue::detach(). Not called back from inside.
  virtual void close(CloseReason reason) = 0;
  /// After Queue::detach(): everything of the queue is home, it may be destroyed, but not from inside this call.
  virtual void on_detached() = 0;

 protected:
  ~TransportOps() = default;
};

}  // namespace weft::nvmf
