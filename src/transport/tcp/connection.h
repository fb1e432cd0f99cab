// One NVMe/TCP connection, which is one queue: turns received bytes into commands and completed commands into bytes. Knows no socket and no
// clock (net/protocol.h); its pump is net::Socket. Belongs to the acceptor; lives on one reactor from accept to on_finished().
// NVMe/TCP Transport 1.0a §3.
//   receive.cc: PDUs in            respond.cc: PDUs out            connection.cc: life, time and the end
#pragma once
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/intrusive_list.h"
#include "core/metrics.h"
#include "net/protocol.h"
#include "nvmf/command.h"
#include "nvmf/queue.h"
#include "nvmf/shard.h"
#include "transport/event_log.h"
#include "transport/tcp/pdu_rules.h"
#include "transport/tcp/send_queue.h"

namespace weft::tcp {

using transport::EventLog;

/// Written by one reactor, readable by any thread.
struct Counters {
  Counter accepted, finished;   // connections
  Counter violations;           // terminations that we have sent
  Counter peer_terminations;    // H2CTermReq received
  Counter digest_errors;        // data digests that were wrong; header digests count as violations
  Counter timeouts;             // handshakes and R2Ts that took too long
};

/// What the connections of one reactor share. Outlives them.
struct Shared {
  explicit Shared(nvmf::Shard& s) : shard(s) {}
  nvmf::Shard& shard;
  BlockPool blocks;
  Counters counters;
  EventLog events{"tcp"};
};

class Connection;

class ConnectionOwner {
 public:
  /// The stream is closed and every command is home: the connection may be destroyed, but not from inside this call.
  virtual void on_finished(Connection& connection) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Connection final : private nvmf::TransportOps {
 public:
  /// The longest PDU that is taken as a whole: a capsule with data.
  static constexpr size_t kPartialMax = kPdoMax + kInCapsuleMax + kDigestSize;
  static constexpr size_t kShortExchange = 48 << 10;  // bytes in and out, eight reads of 4 KiB: above it, nothing is gained, or lost. docs/performance.md

  /// Outlives: `shared` and `owner` outlive the connection.
  Connection(Shared& shared, ConnectionOwner& owner, nvmf::Origin origin);
  /// Requires: on_finished() was called, or on_closed() never and nothing was received.
  ~Connection() = default;
  /// Where to ask for sends; before anything else. Outlives: `outlet` outlives the stream.
  void attach(net::Outlet& outlet) { outlet_ = &outlet; }

  // --- net::Protocol, PausingProtocol and AnsweringProtocol ------------------------------------------------------------------------------------------
  size_t received(std::span<const std::byte> bytes, Instant now);
  std::span<std::byte> direct();
  void direct_received(size_t bytes, Instant now);
  size_t receive_max() const;
  std::span<const iovec> pending(std::span<iovec> room);
  bool has_pending() const { return send_queue_.size() > 0; }
  /// A short exchange is over while what it needs of the connection is in the cache; a long one is better sent beside the others'.
  bool answers_at_once() const { return received_bytes_ + send_queue_.size() <= kShortExchange; }
  void sent(size_t bytes, Instant now);
  net::Wish wish() const { return wish_; }
  Instant next_deadline() const;
  void on_time(Instant now);
  void on_closed(net::Closing closing);

  nvmf::Queue& queue() { return queue_; }

 private:
  enum class Phase : uint8_t {
    kIcReq,          // at the start of the first PDU
    kPdu,            // at the start of another
    kPayload,        // inside the data of an H2CData
    kPayloadDigest,  // before its data digest
  };
  /// A command's transfer while it is kReceiving; lies in the command's Io, which no device has yet.
  struct Transfer {
    Instant deadline;
    uint32_t next_offset = 0;
    bool is_digest_wrong = false;
  };
  static_assert(sizeof(Transfer) <= bdev::Io::kScratchSize);
  static Transfer& transfer_of(nvmf::Command& command);

  // receive.cc: each returns how many bytes it has used, 0 when it needs more or the connection has ended.
  size_t receive_some(std::span<const std::byte> bytes);
  size_t receive_pdu(std::span<const std::byte> bytes);
  /// All but a plain capsule: ICReq, one in parts, with padding, wrong.
  size_t receive_unusual_pdu(std::span<const std::byte> bytes);
  size_t receive_ic_req(std::span<const std::byte> pdu, const Layout& layout);
  size_t receive_capsule(std::span<const std::byte> pdu, const Layout& layout);
  size_t receive_h2c_data(std::span<const std::byte> pdu, const Layout& layout);
  size_t receive_payload(std::span<const std::byte> bytes);
  size_t receive_payload_digest(std::span<const std::byte> bytes);
  /// `header` with its digest; false when it is wrong, and then the connection ends. Requires: hlen sizeof(T).
  template <WireStruct T>
  bool is_header_digest_right(std::span<const std::byte> header);
  /// Requires: the digest stands behind `data`.
  bool is_data_digest_right(std::span<const std::byte> data);
  void payload_landed(std::span<const std::byte> bytes);
  void payload_complete();
  void terminate(Violation violation, std::span<const std::byte> header);

  // respond.cc
  void start_receive(nvmf::Command& command) override;
  void respond(nvmf::Command& command) override;
  void respond_with_capsule(nvmf::Command& command);
  /// `done`: the command, when its data is the end of its response; else null.
  void append_c2h_data(const nvmf::Command& command, uint8_t flags, nvmf::Command* done);
  /// Room for the header; data and digest stand behind it.
  std::span<std::byte> append_data_with_digest(const nvmf::Command& command, size_t header_size, nvmf::Command* done);
  void append_capsule_resp(const nvme::Cqe& cqe);
  void append_ic_resp(uint8_t dgst);
  /// We have sent C2HTermReq: it is the last thing that we say, whatever ends the connection.
  bool has_terminated() const { return termination_deadline_ != Instant::never(); }
  void append_termination(Violation violation, std::span<const std::byte> header);
  template <WireStruct T>
  void append_header(const T& header, size_t size);
  /// What follows `header`, the front of `room`: its digest if there are any, and zeroes.
  template <WireStruct T>
  void finish_header(const T& header, std::span<std::byte> room);
  void tell_breach(const nvmf::Command& command);
  void take_done();
  void announce();

  // connection.cc
  void resume() override;
  void stop_receiving() override { takes_commands_ = false; }
  void close(nvmf::CloseReason reason) override;
  void on_detached() override { owner_.on_finished(*this); }
  void wish_for(net::Wish wish);
  void time_out(std::string_view what);
  template <typename... Args>
  void tell(EventLog::Kind kind, fmt::format_string<Args...> format, Args&&... args) {
    shared_.events.write(kind, reactor(), queue_.origin(), format, std::forward<Args>(args)...);
  }
  Instant handshake_deadline() const;
  Duration limit_ms(uint32_t Limits::*limit) const { return milliseconds(shared_.shard.limits().*limit); }
  Reactor& reactor() const { return shared_.shard.reactor(); }

  Shared& shared_;
  ConnectionOwner& owner_;
  net::Outlet* outlet_ = nullptr;
  nvmf::Queue queue_;
  SendQueue send_queue_;

  Session session_;
  size_t received_bytes_ = 0;  // of the last received()
  Phase phase_ = Phase::kIcReq;
  net::Wish wish_ = net::Wish::kStay;
  bool takes_commands_ = true;
  bool is_announced_ = false;               // the pump knows that there is something to send
  nvmf::Command* stalled_ = nullptr;        // its capsule is at the front of what the pump keeps
  bool is_paused_ = false;                  // until resume(): there is no buffer for `stalled_`
  nvmf::Command* incoming_ = nullptr;       // kPayload, kPayloadDigest: whose data comes
  uint32_t payload_left_ = 0;               // bytes of the H2CData
  bool has_payload_digest_ = false;
  bool is_payload_last_ = false;
  Crc32c payload_digest_;
  IntrusiveList<nvmf::Command, &nvmf::Command::link> transfers_;  // kReceiving, oldest R2T first
  Instant accepted_;
  Instant termination_deadline_ = Instant::never();
};

}  // namespace weft::tcp
