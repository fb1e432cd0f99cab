// The network of one reactor over io_uring: the ring waits for bytes and receives them, one submission for all connections of a cycle;
// what one receive does not take, and every send, is a system call of its own on the socket (docs/adr/0003). Lives as long as its
// reactor; its streams and listeners die before it. Made by any thread, then called on the reactor's.
#pragma once
#include <vector>

#include "core/reactor.h"
#include "net/stream.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/kernel_ring.h"
#include "platform/linux/receive_buffers.h"
#include "platform/linux/socket_listener.h"
#include "platform/linux/tcp_socket.h"

namespace weft::platform {

class UringNet;

/// Watched, it is in one of three states: a receive is in the kernel; bytes, an end or an error have come and are held here; or whatever
/// there is must be asked of the socket.
class UringStream final : public TcpSocket {
 public:
  UringStream(UringNet& net, UniqueFd fd) : TcpSocket(std::move(fd)), net_(&net) {}
  /// Requires: `other` is not watched.
  UringStream(UringStream&& other) noexcept;
  UringStream& operator=(UringStream&&) = delete;
  ~UringStream() { close(); }

  net::Transfer receive(std::span<const iovec> iovecs);
  net::Transfer send(std::span<const iovec> iovecs);
  Result<void> watch(net::StreamEvents& events);
  /// Ends what is in the kernel first.
  void close();

 private:
  friend class UringNet;
  void received(int result, uint32_t flags);
  size_t take_held(std::span<const iovec> iovecs);

  UringNet* net_;
  net::StreamEvents* events_ = nullptr;  // null: not watched
  uint32_t slot_ = 0;                    // watched: which of net_'s
  uint16_t buffer_ = 0;                  // held_: whose
  bool is_receiving_ = false;            // a receive is in the kernel
  bool is_blocked_ = false;              // the kernel waits until the socket takes bytes
  bool has_more_ = false;                // held_: the socket has more
  int error_number_ = 0;                 // what the next receive says
  std::span<const std::byte> held_;      // received, not yet taken
};

class UringNet final : public Poller, private FdHandler {
 public:
  using Stream = UringStream;
  using Handle = UniqueFd;
  using Listener = SocketListener;

  /// Registers with `reactor`. Errors: kUnsupported or kDenied where there is no io_uring that can do this; kLimit.
  static Result<std::unique_ptr<UringNet>> create(EventLoop& loop, Reactor& reactor);
  ~UringNet() override;

  UringStream adopt(UniqueFd handle) { return {*this, std::move(handle)}; }
  /// Errors: as connect_socket().
  Result<UringStream> connect(const net::Address& address);
  /// Errors: as listen_socket().
  Result<std::unique_ptr<SocketListener>> listen(const net::Address& address, net::ListenerEvents<UniqueFd>& events) {
    return SocketListener::listen(loop_, reactor_, address, events);
  }
  /// Submits what the last cycle has asked for, takes in what has come, and calls the streams' events.
  size_t poll() override;

 private:
  friend class UringStream;
  static constexpr unsigned kSubmissions = 512;   // more in one cycle go in several calls
  static constexpr unsigned kCompletions = 4096;  // more wait in the kernel
  static constexpr size_t kPollMax = 256;         // completions of one poll
  enum class What : uint8_t { kReceive, kSend };  // what an operation waits for
  struct Slot {
    UringStream* stream = nullptr;
    uint32_t generation = 1;  // its operations carry it: completions for an earlier stream are dropped
  };

  UringNet(EventLoop& loop, Reactor& reactor, std::unique_ptr<KernelRing> ring) : loop_(loop), reactor_(reactor), ring_(std::move(ring)) {}
  void on_events(uint32_t) override {}  // poll() comes in the same cycle
  void enter();
  size_t take_in();
  void set_waking(bool is_waking);
  void complete(const io_uring_cqe& cqe);
  io_uring_sqe& next_entry();
  uint64_t name_of(const UringStream& stream, What what) const;
  void attach(UringStream& stream);
  void start_receive(UringStream& stream);
  void start_wait_to_send(UringStream& stream);
  bool detach(UringStream& stream);

  EventLoop& loop_;
  Reactor& reactor_;
  ReceiveBuffers buffers_;
  std::unique_ptr<KernelRing> ring_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  bool is_enabled_ = false;
  bool is_waking_ = true;  // completions write to the eventfd
};

}  // namespace weft::platform
