// The initiator's side of one NVMe/RDMA queue: commands in, capsules as a chain of SENDs out; responses in, completions out. It holds the target to
// what a Linux host holds it to; a violation ends the connection with a reason. Knows no device and no clock; RdmaLink drives it. One reactor.
// NVMe/RDMA Transport 1.0a §2, §3.
//
// A command is over when its response has come *and* the SEND of its capsule has completed: until then the device may read the capsule again. Where
// its data is reached through a window of its own, that is invalid by then, too: the target's response says so, or a work request of ours sees to it.
#pragma once
#include <fmt/format.h>
#include <infiniband/verbs.h>

#include <array>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "host/data_area.h"
#include "host/queue.h"
#include "host/rdma_window.h"
#include "wire/rdma/private_data.h"

namespace weft::host {

/// The memory that a transport has registered with its device.
struct RdmaMemory {
  DataArea& capsules;
  DataArea& data;
  uint32_t capsules_key;  // local
  ibv_mr& data_region;
};

class RdmaConnection {
 public:
  static constexpr size_t kDescriptorsMax = 16;
  static constexpr size_t kCapsuleBytes = sizeof(nvme::Sqe) + kDescriptorsMax * sizeof(nvme::SglDescriptor);
  static constexpr uint32_t kPiecesMax = 2;  // of a SEND: the capsule's own bytes and in-capsule data where it lies
  static constexpr uint32_t kRequestsMax = 3;  // of a command that has a window: to bind it, to send the capsule, to invalidate the window

  /// `descriptors`: how many to cut the data of an I/O command into, where the target and the capsule take as many; 1 as a Linux host.
  RdmaConnection(const QueueOptions& options, QueueEvents& events, uint16_t descriptors);
  /// Requires: end() was called.
  ~RdmaConnection();
  RdmaConnection(const RdmaConnection&) = delete;
  RdmaConnection& operator=(const RdmaConnection&) = delete;

  // --- for the owner of the queue ---------------------------------------------------------------------------------------------------------------
  bool has_room() const { return phase_ == Phase::kReady && !free_.empty(); }
  /// Requires: has_room().
  void submit(Command& command);
  /// Nothing is sent or received from now on; end() tells everyone. Does nothing when it is closing already.
  void close(const Error& reason);

  // --- for the link -----------------------------------------------------------------------------------------------------------------------------
  /// Outlives: `memory` outlives the connection. False: there is no room for the capsules. Before established().
  bool take_memory(const RdmaMemory& memory);
  /// The window of the command in slot `index` (< entries): its data is named by the window's key. Without: by that of all data. Before established().
  void set_window(uint16_t index, ibv_mw& window) { slots_.at(index).window = RdmaWindow{window}; }
  const QueueOptions& options() const { return options_; }
  rdma::RequestData request() const;
  void established();
  /// Something was received: its bytes, and the completion that says so. Requires: it has succeeded.
  void received(std::span<const std::byte> bytes, const ibv_wc& completion);
  /// A work request has completed.
  void done(const ibv_wc& completion);
  /// What is to be posted; it counts as posted. Null: nothing.
  ibv_send_wr* take_chain();
  /// Completes what has failed before it was sent.
  void complete_unplaced();
  bool wishes_end() const { return phase_ == Phase::kClosing; }
  /// Neither closing nor ended.
  bool is_alive() const { return phase_ <= Phase::kReady; }
  /// Completes every command as aborted and reports on_closed(), with the connection's own reason if it had one, else `reason`. Nobody hears of the
  /// connection after that. Idempotent.
  void end(const Error& reason);
  /// The device has given everything back. Requires: end() was called.
  void release_memory();

 private:
  enum class Phase : uint8_t { kConnecting, kReady, kClosing, kEnded };

  struct Slot {
    Command* command = nullptr;
    std::span<std::byte> bounce;          // where the data lies when it is not in registered memory
    std::optional<nvme::Cqe> response;
    bool is_posted = false;
    bool is_sent = false;
    uint8_t generation = 0;
    RdmaWindow window;
    ibv_send_wr window_request{};
    ibv_send_wr request{};
    std::array<ibv_sge, kPiecesMax> pieces{};
  };

  /// What a work request was for; with the slot's index, its wr_id.
  enum class Work : uint8_t { kSend, kBind, kInvalidate };
  static constexpr unsigned kWorkShift = 16;

  void build(Slot& slot, std::span<const std::byte> data, bool is_out);
  uint32_t add_descriptors(const Slot& slot, nvme::Sqe& sqe, std::span<const std::byte> data) const;
  void stage(Slot& slot, uint32_t capsule_bytes);
  void append(ibv_send_wr& request, const Slot& slot, Work work);
  bool take_invalidation(Slot& slot, uint32_t key);
  bool goes_in_capsule(size_t size, bool is_out) const;
  size_t descriptors_for(size_t size) const;
  void complete_if_done(Slot& slot);
  void complete(Slot& slot, const nvme::Cqe& cqe);
  std::byte* capsule_of(const Slot& slot) const { return capsules_.data() + index_of(slot) * kCapsuleBytes; }
  uint16_t index_of(const Slot& slot) const { return uint16_t(&slot - slots_.data()); }
  Slot& slot_of(uint64_t wr_id) { return slots_.at(wr_id & ((1 << kWorkShift) - 1)); }
  uint16_t cid_of(const Slot& slot) const { return uint16_t(index_of(slot) | (slot.generation & 0xf) << 12); }
  template <typename... Args>
  void violated(fmt::format_string<Args...> format, Args&&... args) {
    close(Error{Errc::kInvalid, fmt::format(format, std::forward<Args>(args)...)});
  }

  QueueOptions options_;
  QueueEvents* events_;  // null after end()
  uint16_t descriptors_;
  const RdmaMemory* memory_ = nullptr;
  std::span<std::byte> capsules_;
  Phase phase_ = Phase::kConnecting;
  std::optional<Error> reason_;
  std::vector<Slot> slots_;
  std::vector<uint16_t> free_;
  std::vector<uint16_t> unplaced_;  // slots for whose data there was no registered memory
  ibv_send_wr* first_ = nullptr;    // staged
  ibv_send_wr* last_ = nullptr;
};

}  // namespace weft::host
