// One NVMe/RDMA queue: turns capsules into commands, and completed commands into chains of work requests. Knows no device and no clock; its driver
// is a Station. Lives on one reactor from the connection request to on_finished(). NVMe/RDMA Transport 1.0a §2, §3.
//   connection.cc: life, time and the end            data.cc: capsules in, data both ways, responses out
#pragma once
#include <array>
#include <optional>
#include <string_view>

#include "base/intrusive_list.h"
#include "core/metrics.h"
#include "nvmf/command.h"
#include "nvmf/queue.h"
#include "nvmf/shard.h"
#include "transport/event_log.h"
#include "transport/rdma/send_ring.h"
#include "transport/rdma/sgl.h"
#include "verbs/device.h"
#include "verbs/receives.h"
#include "wire/rdma/private_data.h"

namespace weft::rdma {

using transport::EventLog;
using verbs::Receives;
using verbs::ReceiveSlot;
using verbs::kReceiveBit;

/// Written by one reactor, readable by any thread.
struct Counters {
  Counter accepted, finished;  // connections
  Counter violations;          // capsules that end the connection
  Counter failures;            // work requests that failed, a wrong key for example: they end the connection
  Counter timeouts;            // Connects that did not come, sends and READs that did not get done
};

/// What the connections of one reactor share, whatever their device. Outlives them.
struct Shared {
  explicit Shared(nvmf::Shard& s) : shard(s) {}
  nvmf::Shard& shard;
  Counters counters;
  EventLog events{"rdma"};
};

/// The local keys of the shares of the reactor's buffer pool, for one device.
using ShareKeys = std::array<uint32_t, kShareCount>;

class Connection;

class ConnectionOwner {
 public:
  /// There is something to prepare() and to post in this cycle, or the connection wishes to end.
  virtual void wants_flush(Connection& connection) = 0;
  /// The capsule is used: its slot may be posted again. Before what the connection stages next is posted.
  virtual void give_back(ReceiveSlot& slot) = 0;
  /// After gone(): every command is home: the connection may be destroyed, but not from inside this call.
  virtual void on_finished(Connection& connection) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Connection final : private nvmf::TransportOps {
 public:
  struct Settings {
    const verbs::Device& device;
    const ShareKeys& keys;
    Request request;          // what the host has asked for
    uint32_t send_entries;    // of the queue pair
    uint16_t reads_max;       // READs outstanding, as negotiated; > 0
  };
  /// Outlives: `shared`, `owner` and what `settings` refers to outlive the connection.
  Connection(Shared& shared, ConnectionOwner& owner, nvmf::Origin origin, const Settings& settings);
  /// Requires: on_finished() was called.
  ~Connection();

  /// Work requests of a send queue that a host with so many entries of its own needs, a power of two.
  static uint32_t send_entries_for(uint32_t host_entries);

  // --- from the driver ------------------------------------------------------------------------------------------------------------------------
  void established();
  /// A capsule of `size` bytes; the slot is the connection's until give_back(). May come before established().
  void received(ReceiveSlot& slot, uint32_t size);
  /// A work request of the ring has completed.
  void completed(const ibv_wc& completion);
  /// Takes up what has waited: capsules, READs and responses. First part of the flush.
  void prepare();
  /// What is to be posted, as one chain; it counts as posted. Null: nothing. Second part of the flush.
  ibv_send_wr* take_chain();
  /// The driver should end the queue pair: the connection has nothing more to say.
  bool wishes_end() const { return phase_ == Phase::kEnding; }
  Instant next_deadline() const;
  void on_time(Instant now);
  /// The queue pair has ended, or the driver is about to end it: nothing is posted any more, and the queue is detached, so that its commands come home
  /// now and not when the device has let go. Completions may still come; they are not looked at. Idempotent; not from inside a call of the queue.
  void ended();
  /// The queue pair is destroyed: buffers that the device could reach are ours again. Once, last.
  void gone();
  /// A work request or a receive of the queue pair has completed with that status, which is not success: the connection ends.
  void failed(ibv_wc_status status);
  /// A posting was refused: the connection ends.
  void fail(std::string_view what, int detail);

  nvmf::Queue& queue() { return queue_; }

 private:
  enum class Phase : uint8_t {
    kAccepting,  // capsules are kept until the connection is established
    kLive,
    kLingering,  // takes nothing more; responses that were given are still sent
    kEnding,     // says nothing more; the driver ends the queue pair, or it has ended
  };
  /// A command's data on its way here, while it is kReceiving; lies in the command's Io, which no device has yet.
  struct Fetch {
    uint32_t segment = 0;         // the next one to read
    uint32_t segment_offset = 0;  // from where in it
    uint32_t fetched = 0;         // bytes staged
    uint32_t outstanding = 0;     // READs not done
  };
  static_assert(sizeof(Fetch) <= bdev::Io::kScratchSize);
  using Commands = IntrusiveList<nvmf::Command, &nvmf::Command::link>;
  enum class Taken : uint8_t { kYes, kStalled };

  // nvmf::TransportOps
  void start_receive(nvmf::Command& command) override;
  void respond(nvmf::Command& command) override;
  void resume() override {
    is_paused_ = false;
    owner_.wants_flush(*this);
  }
  void stop_receiving() override { takes_commands_ = false; }
  void close(nvmf::CloseReason reason) override;
  void on_detached() override;

  // data.cc
  Taken take(ReceiveSlot& slot);
  bool is_connect_right(const nvme::Sqe& sqe);
  void take_kept();
  static Fetch& fetch_of(nvmf::Command& command);
  static std::span<const nvme::SglDescriptor> segments_of(const nvmf::Command& command);
  static ReceiveSlot* list_of(const nvmf::Command& command);
  void keep_list(nvmf::Command& command, ReceiveSlot& slot, std::span<const nvme::SglDescriptor> segments);
  void release_list(nvmf::Command& command);
  void stage_reads();
  bool stage_read(nvmf::Command& command);
  bool stage_response(nvmf::Command& command);
  uint32_t writes_for(std::span<const nvme::SglDescriptor> segments, size_t size) const;
  void stage_writes(nvmf::Command& command, std::span<const nvme::SglDescriptor> segments);
  std::optional<uint32_t> key_to_invalidate(std::span<const nvme::SglDescriptor> segments) const;
  uint32_t key_of(const nvmf::Command& command) const { return settings_.keys[size_t(command.share)]; }
  void done(SendRing::Done what);
  void free(HeldBuffer buffer);

  // connection.cc
  void enter(Phase phase);
  void violate(std::string_view what);
  void time_out(std::string_view what);
  bool may_send() const { return phase_ == Phase::kLive || phase_ == Phase::kLingering; }
  bool has_rest() const;
  void drop_capsules();
  void finish_if_over();
  Instant handshake_deadline() const;
  Duration limit_ms(uint32_t Limits::*limit) const { return milliseconds(shared_.shard.limits().*limit); }
  Reactor& reactor() const { return shared_.shard.reactor(); }
  template <typename... Args>
  void tell(EventLog::Kind kind, fmt::format_string<Args...> format, Args&&... args) {
    shared_.events.write(kind, reactor(), queue_.origin(), format, std::forward<Args>(args)...);
  }

  Shared& shared_;
  ConnectionOwner& owner_;
  Settings settings_;
  Phase phase_ = Phase::kAccepting;
  bool takes_commands_ = true;
  bool is_home_ = false;              // on_detached() has come
  bool is_gone_ = false;              // gone() has
  bool is_paused_ = false;            // until resume(): there is no buffer for `stalled_`
  nvmf::Command* stalled_ = nullptr;  // its capsule is the first of kept_
  nvmf::Queue queue_;
  SendRing ring_;
  IntrusiveList<ReceiveSlot, &ReceiveSlot::link> kept_;   // capsules that wait: for established(), or for a buffer
  uint32_t kept_count_ = 0;
  IntrusiveList<ReceiveSlot, &ReceiveSlot::link> lists_;  // capsules whose list of descriptors a command still needs
  Commands fetching_;    // kReceiving, READs still to be staged
  Commands responding_;  // kResponding, not staged for want of room
  Instant accepted_;
  Instant progress_;     // when the last completion came, or work was posted that one will come of
  Instant linger_deadline_ = Instant::never();
};

}  // namespace weft::rdma
