// The initiator's side of one NVMe/TCP queue: commands in, PDUs out; PDUs in, completions out. It holds the target to every rule that a
// Linux or SPDK host holds it to; a violation ends the connection with a reason. Knows no socket and no clock (net/protocol.h). Owned by TcpQueue; runs on one reactor. No allocation after construction. NVMe/TCP 1.0a §3.
#pragma once
#include <fmt/format.h>
#include <sys/uio.h>

#include <array>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/intrusive_list.h"
#include "base/time.h"
#include "host/queue.h"
#include "net/protocol.h"
#include "wire/tcp/pdu.h"

namespace weft::host {

class TcpConnection {
 public:
  /// Outlives: `events` outlives the connection.
  TcpConnection(const QueueOptions& options, QueueEvents& events);
  /// Whom to tell that there is something to send. Before anything else; outlives the connection's use.
  void attach(net::Outlet& outlet) { outlet_ = &outlet; }
  ~TcpConnection();
  TcpConnection(const TcpConnection&) = delete;
  TcpConnection& operator=(const TcpConnection&) = delete;

  // For the owner.
  bool has_room() const { return state_ == State::kReady && !free_.empty(); }
  /// Requires: has_room().
  void submit(Command& command);
  void disable_flow_control() { has_flow_control_ = false; }
  /// Nothing is sent or parsed from now on; on_closed() tells everyone. Does nothing when it is closing already.
  void close(const Error& reason);

  // For the pump: net::Protocol.
  static constexpr size_t kPartialMax = sizeof(tcp::TermReq) + tcp::kTermReqDataMax;
  size_t received(std::span<const std::byte> bytes, Instant now);
  std::span<std::byte> direct();
  void direct_received(size_t bytes, Instant now);
  std::span<const iovec> pending(std::span<iovec> room);
  bool has_pending() const { return state_ != State::kClosed && (icreq_sent_ < sizeof icreq_ || !sending_.empty()); }
  void sent(size_t bytes, Instant now);
  net::Wish wish() const { return state_ == State::kClosed ? net::Wish::kClose : net::Wish::kStay; }
  Instant next_deadline() const { return Instant::never(); }  // who submits keeps the time (controller.h, workload.h)
  void on_time(Instant) {}
  /// Completes every command as aborted and reports on_closed(), with the protocol's reason if it had one, else the stream's.
  void on_closed(net::Closing closing);

  static constexpr size_t kControlInCapsuleBytes = 8192;  // admin and fabrics commands, whatever IOCCSZ says


 private:
  enum class State : uint8_t { kHandshake, kReady, kClosed };
  enum class Progress : uint8_t {
    kFree,
    kCapsule,  // the capsule is being sent
    kWaiting,  // the controller has the command
    kData,     // H2CData for an R2T is being sent
  };

  struct Slot {
    Command* command = nullptr;
    Link send_link;
    Progress progress = Progress::kFree;
    uint8_t generation = 0;
    bool is_in_capsule = false;       // `out` travelled in the capsule
    bool has_last = false;            // C2HData with LAST_PDU has come
    bool has_bad_data_digest = false;
    uint16_t ttag = 0;
    uint32_t data_bytes = 0;      // sent or received so far
    uint32_t r2t_end = 0;         // offset in `out` where the R2T in progress ends
    std::optional<nvme::Cqe> early;  // a response that came while H2CData was being sent
    // The PDU being sent: header with its digest, a piece of `out`, its digest.
    std::array<std::byte, sizeof(tcp::CapsuleCmd) + tcp::kDigestSize> header;
    uint8_t header_size = 0;
    std::array<std::byte, tcp::kDigestSize> digest;
    std::span<const std::byte> payload;
  };
  using SendList = IntrusiveList<Slot, &Slot::send_link>;

  // Sending (tcp_send.cc).
  void build_icreq();
  void build_capsule(Slot& slot);
  void build_data(Slot& slot);
  void seal(Slot& slot, tcp::CommonHeader header);
  size_t pdu_size(const Slot& slot) const;
  size_t digest_size(const Slot& slot) const;
  void enqueue(Slot& slot);
  void pdu_sent(Slot& slot);

  // Receiving (tcp_receive.cc). Each take_ takes a prefix and returns its size; 0 asks for more bytes, or says that the target broke a rule.
  // Each on_ acts on one PDU and returns false when that breaks a rule.
  size_t take(std::span<const std::byte> bytes, Instant now);
  size_t take_icresp(std::span<const std::byte> bytes);
  size_t take_header(std::span<const std::byte> bytes);
  size_t take_data(std::span<const std::byte> bytes, Instant now);
  size_t take_data_digest(std::span<const std::byte> bytes);
  bool is_sound(const tcp::CommonHeader& header);
  bool act_on(tcp::PduType type, std::span<const std::byte> bytes);
  bool on_response(const tcp::CapsuleResp& pdu);
  bool on_data(const tcp::DataPdu& pdu);
  void on_data_end();
  bool on_r2t(const tcp::R2t& pdu);
  bool on_termination(const tcp::TermReq& pdu);
  Slot* find(uint16_t cid, const char* pdu_name);
  void complete(Slot& slot, nvme::Cqe cqe);

  uint16_t cid_of(const Slot& slot) const;
  /// Closes for what the target did. Returns false.
  template <typename... Args>
  bool violated(fmt::format_string<Args...> format, Args&&... args);

  QueueOptions options_;
  QueueEvents& events_;
  net::Outlet* outlet_ = nullptr;
  State state_ = State::kHandshake;
  bool has_flow_control_ = true;
  std::optional<Error> reason_;
  uint32_t maxh2cdata_ = 0;

  std::vector<Slot> slots_;
  std::vector<uint16_t> free_;
  SendList sending_;
  size_t front_sent_ = 0;  // bytes of the front PDU that have left
  tcp::IcReq icreq_{};
  size_t icreq_sent_ = 0;

  // The C2HData being received.
  Slot* receiving_ = nullptr;
  uint8_t receiving_flags_ = 0;
  uint32_t receiving_left_ = 0;      // bytes of data to come
  bool is_digest_due_ = false;       // the data is complete, its digest is not
  Crc32c receiving_digest_;
};
static_assert(net::Protocol<TcpConnection>);

}  // namespace weft::host
