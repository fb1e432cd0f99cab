// What the pumps of one reactor share: the receive buffer that all of them parse in, the iovecs of a send, the buffers for partial PDUs, and
// the lists that give every connection one receive and one send per cycle. Register it with the reactor after the Net, so that what
// became readable is served in the same cycle. Lives as long as its reactor; outlives its sockets.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "base/intrusive_list.h"
#include "base/time.h"
#include "core/reactor.h"
#include "net/stream.h"

namespace weft::net {

/// A socket's place in the lists of its reactor; the part of Socket that is no template.
class SocketTurn {
 public:
  /// Whether the same should be done again in the next cycle, without waiting for an event.
  enum class Rest : uint8_t { kNone, kMore };

  SocketTurn() = default;
  SocketTurn(const SocketTurn&) = delete;
  SocketTurn& operator=(const SocketTurn&) = delete;

 protected:
  virtual ~SocketTurn() = default;

 private:
  friend class Sockets;
  virtual Rest receive_once() = 0;
  virtual Rest send_once() = 0;
  /// Whether what has become ready to be sent in receive_once() should leave before the flush.
  virtual bool answers_at_once() const { return false; }

  Link ready_link_;  // something can be received
  Link dirty_link_;  // something should be sent, or the protocol's wish has changed
};

/// Received bytes that wait for more, or for a protocol that pauses.
struct Kept {
  std::unique_ptr<std::byte[]> buffer;  // null while size is 0
  size_t capacity = 0;
  size_t size = 0;
  std::span<std::byte> bytes() { return {buffer.get(), size}; }
};

/// Buffers for partial PDUs, of one size: made when first needed, at most one per socket, kept for reuse. A longer rest, which only a
/// protocol leaves that pauses in the midst of a receive, gets memory of its own, at most a receive long.
class PartialPool {
 public:
  explicit PartialPool(size_t size) : size_(size) {}
  size_t size() const { return size_; }
  /// Replaces what `kept` holds by `bytes`, which may be a part of it.
  void keep(Kept& kept, std::span<const std::byte> bytes);
  void drop(Kept& kept);

 private:
  size_t size_;  // bytes of one
  std::vector<std::unique_ptr<std::byte[]>> free_;
};

class Sockets final : public Poller {
 public:
  struct Options {
    size_t receive_bytes;   // of the shared buffer: the most that one receive takes
    size_t send_iovecs;     // the most pieces of one send
    size_t partial_bytes;   // the largest kPartialMax of the protocols that run here
    Duration stalled_send;  // how long a peer may take no byte while some are pending
  };
  Sockets(Reactor& reactor, const Options& options);

  size_t poll() override;
  size_t flush() override;

  Reactor& reactor() { return reactor_; }
  Duration stalled_send() const { return options_.stalled_send; }
  /// Room for one receive: the last `receive_bytes` of it are free, what stands before is for a partial PDU.
  std::span<std::byte> receive_buffer() { return receive_buffer_; }
  size_t receive_bytes() const { return options_.receive_bytes; }
  std::span<iovec> iovecs() { return iovecs_; }
  PartialPool& partials() { return partials_; }

  void make_ready(SocketTurn& socket);
  void make_dirty(SocketTurn& socket);
  /// Likewise for the rest of what it has begun to send: behind those that have not had their turn yet, which lets short answers pass long ones.
  void send_rest(SocketTurn& socket);
  void forget(SocketTurn& socket);

 private:
  void send(SocketTurn& socket);

  Reactor& reactor_;
  Options options_;
  std::vector<std::byte> receive_buffer_;
  std::vector<iovec> iovecs_;
  PartialPool partials_;
  IntrusiveList<SocketTurn, &SocketTurn::ready_link_> ready_;
  IntrusiveList<SocketTurn, &SocketTurn::dirty_link_> dirty_;
  IntrusiveList<SocketTurn, &SocketTurn::dirty_link_> rests_;  // to be sent behind dirty_
  size_t ready_count_ = 0;
  size_t dirty_count_ = 0;  // of both
};

}  // namespace weft::net
