// The send queue of one queue pair as the protocol sees it: work requests are staged, posted as one chain per cycle, and done in order. Decides
// which of them are signalled, so that a completion is rare and yet nothing waits for one that never comes. Belongs to a Connection.
//
// A signalled completion says that all before it are done as well, but READs: each has a completion of its own, which siw gives after that of a SEND that was
// posted behind it. Signalled are: every READ; every WRITE where the device wants it; every 16th response; the last work request when
// more than half of the queue, or much buffer memory, would otherwise stand unsignalled; and what the owner asks for by signal_last().
#pragma once
#include <infiniband/verbs.h>

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/buffer_pool.h"
#include "nvmf/transport_ops.h"
#include "wire/nvme/command.h"

namespace weft::rdma {

/// Memory of the buffer pool that the device may touch when its command is over. It reads until a response is done, and the host may use the CID again
/// as soon as that has come, long before we hear that it has left; it writes what READs bring until the queue pair is destroyed.
struct HeldBuffer {
  Share share{};
  std::span<std::byte> bytes{};
};

class SendRing {
 public:
  enum class Kind : uint8_t { kWrite, kRead, kResponse };
  /// One work request: what of it the owner needs again when it is done.
  struct Done {
    Kind kind;
    nvmf::Command* command;  // of a response that was posted, or after keep_sinks(): no more
    HeldBuffer buffer;       // of a response: its data's
  };
  /// A piece of local memory and where it goes to or comes from at the peer.
  struct Transfer {
    uint64_t local_address;
    uint32_t length;
    uint32_t local_key;
    uint64_t remote_address;
    uint32_t remote_key;
  };

  /// Whether WRITEs are signalled: see verbs::Device::reads_silent_data_late.
  enum class Writes : uint8_t { kSilent, kSignalled };

  /// `capacity`: work requests that the queue pair takes.
  explicit SendRing(uint32_t capacity, Writes writes = Writes::kSilent);

  uint32_t room() const { return uint32_t(entries_.size()) - (tail_ - head_); }
  bool empty() const { return head_ == tail_; }
  /// READs that are not done.
  uint32_t reads() const { return reads_; }
  /// Responses that are staged and not posted.
  uint32_t responses_staged() const { return responses_staged_; }
  /// Signalled work requests that are not done: a completion will come.
  bool awaits_completion() const { return signalled_ > 0; }

  // Each of these requires room() > 0.
  void stage_write(const Transfer& transfer, nvmf::Command& command);
  void stage_read(const Transfer& transfer, nvmf::Command& command);
  void stage_response(const nvme::Cqe& cqe, std::optional<uint32_t> key_to_invalidate, HeldBuffer buffer, nvmf::Command& command);

  bool has_staged() const { return staged_ != tail_; }
  /// Whether nothing staged or posted is signalled after the last one: nobody would ever hear of it.
  bool is_last_silent() const { return since_signal_ > 0; }
  /// Requires: has_staged().
  void signal_last();
  /// The chain of what is staged; it counts as posted. Valid until the next completion. Null: nothing. Calls responded(command) for each response of
  /// it, at the end: `responded` may stage more.
  template <typename F>
  ibv_send_wr* take_chain(F&& responded) {
    const uint32_t from = staged_, to = tail_;
    ibv_send_wr* first = chain();
    for (uint32_t i = from; i != to; ++i) {
      if (Entry& entry = at(i); entry.kind == Kind::kResponse) responded(*std::exchange(entry.command, nullptr));
    }
    return first;
  }
  /// The commands go, and the device may still write into the buffers of READs that are not done: those are the ring's from now on. Nothing is to
  /// complete after this.
  void keep_sinks();
  /// Nothing of it will be done any more: calls dropped(Done) for each work request.
  template <typename F>
  void drop_all(F&& dropped) {
    while (head_ != tail_) dropped(pop());
  }

  /// The work request `wr_id` is done, and all before it but READs that were not said to be. Calls done(Done) for each up to the first such READ, in order, after
  /// it has left the ring: `done` may stage more. Ignores what is done already.
  template <typename F>
  void complete(uint64_t wr_id, F&& done) {
    note_done(uint32_t(wr_id));
    while (is_oldest_done()) done(pop());
  }

 private:
  struct Entry {
    ibv_send_wr request;
    ibv_sge piece;
    nvme::Cqe cqe;  // response: sent inline, so the device has a copy once it is posted
    nvmf::Command* command;
    HeldBuffer buffer;
    Kind kind;
    bool is_signalled;
    bool is_done;  // READ: its own completion has come
  };
  static constexpr uint32_t kResponsesPerSignal = 16;
  static constexpr size_t kBytesPerSignal = 256 << 10;
  static constexpr uint32_t kResponseRequestsMax = nvmf::kRdmaDescriptorsMax + 1;

  Entry& at(uint32_t sequence) { return entries_[sequence & (entries_.size() - 1)]; }
  Entry& stage(Kind kind, nvmf::Command& command);
  void transfer(Entry& entry, const Transfer& transfer, ibv_wr_opcode opcode);
  void signal(Entry& entry);
  ibv_send_wr* chain();
  void note_done(uint32_t sequence);
  bool is_oldest_done();
  Done pop();

  std::vector<Entry> entries_;  // a power of two; of sequences head_ to tail_
  Writes writes_;
  uint32_t head_ = 0;           // the oldest that is not done
  uint32_t done_ = 0;           // the newest that was said to be done is before it
  uint32_t staged_ = 0;         // the oldest that is not posted
  uint32_t tail_ = 0;
  uint32_t reads_ = 0;
  uint32_t responses_staged_ = 0;
  uint32_t signalled_ = 0;
  // After the last signalled one:
  uint32_t since_signal_ = 0;
  uint32_t responses_since_signal_ = 0;
  size_t bytes_since_signal_ = 0;
};

}  // namespace weft::rdma
