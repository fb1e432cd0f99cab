// A reliable connected queue pair of a MemoryVerbs. What it sends goes one work request at a time, in order; the other end takes each in order, answers,
// and what is answered completes in order. Data that it may not touch any more than the device allows is watched: a buffer that changes before its
// work request is known to be done breaks the verbs' contract. Lives in its fabric from adopt() to its retirement.
#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "verbs/memory_domain.h"
#include "verbs/memory_fabric.h"

namespace weft::verbs {

/// A connection being made: shared by the handle and the queue pair that asks.
struct MemoryCall {
  MemoryFabric* fabric = nullptr;
  Route route;
  size_t client_machine = 0;
  uint32_t client = 0;        // the queue pair that asks
  size_t server_machine = 0;
  std::vector<std::byte> private_data;
  uint16_t answered_reads = 0;
};

class MemoryQueuePair {
 public:
  enum class Side : uint8_t { kClient, kServer };
  MemoryQueuePair(MemoryVerbs& verbs, MemoryDomain& domain, Side side, std::shared_ptr<MemoryCall> call, const QueuePairOptions& options, QueuePairEvents& events);
  ~MemoryQueuePair();
  MemoryQueuePair(const MemoryQueuePair&) = delete;
  MemoryQueuePair& operator=(const MemoryQueuePair&) = delete;

  uint32_t number() const { return number_; }
  ibv_mw& window(uint32_t index) { return windows_.at(index)->mw; }
  Posted post_send(ibv_send_wr* sends);
  void accept(const AcceptOptions& options);
  void connect(const ConnectOptions& options);
  void disconnect();
  void retire();

 private:
  friend class MemoryVerbs;
  friend class MemoryDomain;
  friend class MemoryFabric;
  enum class State : uint8_t {
    kMaking,
    kIdle,
    kConnecting,
    kConnected,
    kBroken,  // a work request has failed, everything flushes; nobody was told
    kEnded,
  };
  struct Window {
    ibv_mw mw;
    uint32_t last_key;
  };
  enum class Stage : uint8_t { kPosted, kSent, kAnswered };
  struct Work {
    uint64_t sequence = 0;
    uint64_t packet = 0;  // its number among those that go to the other end
    ibv_send_wr request{};
    std::vector<ibv_sge> pieces;
    std::vector<std::byte> inline_data;
    Stage stage = Stage::kPosted;
    ibv_wc_status status = IBV_WC_SUCCESS;
    Instant sent_at{};
    bool is_inline() const { return (request.send_flags & IBV_SEND_INLINE) != 0; }
    /// Nothing of it goes to the other end.
    bool is_local() const { return request.opcode == IBV_WR_BIND_MW || request.opcode == IBV_WR_LOCAL_INV; }
    bool is_read() const { return request.opcode == IBV_WR_RDMA_READ; }
    bool carries_data() const { return request.opcode == IBV_WR_RDMA_WRITE || request.opcode == IBV_WR_SEND || request.opcode == IBV_WR_SEND_WITH_INV; }
  };
  /// What the device holds of a work request until its user knows that it is done.
  struct Lent {
    uint64_t sequence;
    ibv_send_wr request;
    std::vector<ibv_sge> pieces;
    std::optional<uint32_t> checksum;  // of data that must not change
  };
  /// What goes to the other end for one work request.
  struct Packet {
    uint32_t from = 0, to = 0;
    uint64_t sequence = 0;  // of the work request
    uint64_t number = 0;
    ibv_wr_opcode opcode{};
    std::vector<std::byte> data;
    uint64_t address = 0;
    uint32_t length = 0;
    uint32_t key = 0;
  };
  struct Answer {
    uint64_t sequence = 0;
    ibv_wc_status status = IBV_WC_SUCCESS;
    bool is_not_ready = false;
    std::vector<std::byte> data{};  // of a READ
  };

  // memory_queue_pair.cc: its life
  void made(std::optional<Error> error);
  void accept_now(std::vector<std::byte> private_data, uint16_t reads);
  void client_answered(bool is_there);
  void accepted(uint32_t server, std::vector<std::byte> private_data, std::shared_ptr<MemoryTap> tap);
  void established();
  void end(Ending::Kind kind, int error_number, std::vector<std::byte> private_data);
  void leave();
  void tell_peer();
  void tap_ended();
  MemoryTap::End tap_end() const { return side_ == Side::kClient ? MemoryTap::End::kClient : MemoryTap::End::kServer; }

  // memory_work.cc: sending
  void transmit();
  void transmit_soon();
  ibv_wc_status start(Work& work);
  ibv_wc_status bind(const ibv_send_wr& request);
  std::optional<std::vector<std::byte>> gather(const Work& work) const;
  bool is_registered(const std::vector<ibv_sge>& pieces) const;
  bool scatter(const Work& work, std::span<const std::byte> data);
  void answered(Answer answer);
  void not_ready(uint64_t sequence);
  void reap();
  void complete(const Work& work, ibv_wc_status status);
  void flush();
  void give_up(Instant since);
  void polled(uint64_t sequence);
  void message_polled(std::span<const std::byte> message);
  void check(const Lent& lent);

  // memory_work.cc: receiving
  void arrived(Packet packet);
  Answer execute(Packet& packet);
  Answer take_message(Packet& packet);
  Answer refuse(const Packet& packet, ibv_wc_status status, const char* why);

  MemoryVerbs& verbs_;
  MemoryFabric& fabric_;
  MemoryDomain& domain_;
  Side side_;
  std::shared_ptr<MemoryCall> call_;
  QueuePairOptions options_;
  QueuePairEvents& events_;
  uint32_t number_;
  std::vector<std::unique_ptr<Window>> windows_;
  State state_ = State::kMaking;
  uint32_t peer_ = 0;           // its queue pair; 0: none yet
  size_t peer_machine_ = 0;
  std::shared_ptr<MemoryTap> tap_;
  uint16_t reads_max_ = 0;      // that may be outstanding
  std::deque<Work> works_;      // posted and not complete, in order
  std::deque<Lent> lent_;       // not known to be done, in order
  uint64_t posted_ = 0;         // work requests ever
  uint64_t freed_ = 0;          // of them known to be done
  uint64_t next_ = 0;           // the first one that was not sent
  uint64_t packets_ = 0;        // work requests ever that go to the other end
  uint64_t expected_ = 0;       // of the peer's packets: the next one to be taken
  uint32_t reads_sent_ = 0;     // and not answered
  bool is_transmitting_ = false;
  Instant asked_at_{};         // when the connection request was sent
  bool is_waiting_ = false;     // for the peer to be ready
};

}  // namespace weft::verbs
