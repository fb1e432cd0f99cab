// One submission queue and its completion queue in memory that the device shares, with a tracker for each command that may be outstanding. Builds
// submission entries in place, tells the device once per cycle, reaps completions in batches by their phase bit. Knows no opcodes and no time-outs
// of its own. Owned by the admin queue or an I/O queue, on whose reactor it runs. NVMe Base 2.0 §3.3.1, §4.2 (CQE); NVMe over PCIe 1.0 §3.
//
//   memory:  | SQ entries x 64, to whole pages | CQ entries x 16, to whole pages | a page for the PRP list of each tracker |
//
// A command's CID is the index of its tracker, and how often that was used before, modulo 64, so that a completion which comes twice is not taken for
// that of the tracker's next command. A tracker is free again only when its completion was reaped or the device cannot complete it any more
// (end_all()). There is one tracker less than entries, so neither queue can overflow. A completion that cannot be (no such command, an SQHD that
// did not come from the queue) breaks the queue: nothing of it is believed any more, and its owner resets the controller.
//
//   CID:  | 15:10 uses | 9:0 tracker |
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "nvme/data_pointer.h"
#include "nvme/doorbell.h"
#include "pci/function.h"
#include "wire/nvme/command.h"

namespace weft::nvme {

/// How a command ended.
struct Completion {
  Status status;
  uint32_t dw0 = 0;
  bool is_answered = true;  // false: the queue was deleted or the controller reset first; the device has forgotten the command
};

/// Who is told. `owner` and `tag` are his.
struct Recipient {
  void (*on_done)(void* owner, uint64_t tag, const Completion&) = nullptr;
  void* owner = nullptr;
  uint64_t tag = 0;
};

class QueuePair {
 public:
  struct Shape {
    uint16_t qid = 0;
    uint32_t entries = 2;  // of either queue, 2..kEntriesMax
    uint32_t doorbell_stride = 4;
  };
  static constexpr uint32_t kEntriesMax = 1024;
  /// A submission entry that belongs to a command until the next flush(), zeroed but for its CID.
  struct Slot {
    Sqe& sqe;
    PrpList list;
    uint16_t cid;
  };
  /// What is known of one outstanding command.
  struct Overdue {
    uint16_t cid;
    uint8_t warnings;  // how often it was overdue before
  };

  static size_t memory_bytes(uint32_t entries);
  /// Requires: `memory` has memory_bytes(). Outlives: `function` and `shadows` outlive the queue pair.
  QueuePair(pci::Function& function, const Shape& shape, pci::DmaBuffer memory, const ShadowDoorbells& shadows);
  /// Requires: outstanding() == 0.
  ~QueuePair();
  QueuePair(const QueuePair&) = delete;
  QueuePair& operator=(const QueuePair&) = delete;

  uint16_t qid() const { return shape_.qid; }
  uint32_t entries() const { return shape_.entries; }
  uint64_t sq_iova() const { return memory_.iova(); }
  uint64_t cq_iova() const { return memory_.iova() + cq_offset(shape_.entries); }
  uint32_t trackers() const { return uint32_t(trackers_.size()); }
  uint32_t outstanding() const { return outstanding_; }
  bool has_room() const { return free_ != kNone; }

  /// The next command; its entry is to be filled before the next flush(). It is overdue from `deadline` on. Requires: has_room().
  Slot begin(const Recipient& recipient, Instant deadline);
  /// Tells the device of what was begun and reaped since the last call, each with at most one doorbell.
  void flush();
  /// Takes in completions and tells their recipients, who may begin commands, but not destroy the queue. Returns how many there were.
  size_t reap();
  /// Whether reap() would find something.
  bool has_completions() const { return phase_of(cq_head_) == phase_; }
  /// Why the queue cannot be used any more; null: it can.
  const char* broken() const { return broken_; }

  /// The device has forgotten every outstanding command: tells their recipients so, and begins anew, as a queue that will be created again.
  /// Requires: the device does not use the queue, and reaches none of the commands' memory.
  void end_all();

  /// One that is overdue at `now`; it is not again before `next`.
  std::optional<Overdue> take_overdue(Instant now, Instant next);

  /// Doorbell registers written so far.
  uint64_t rings() const { return sq_bell_.rings() + cq_bell_.rings(); }

 private:
  static constexpr uint16_t kNone = 0xffff;
  static constexpr unsigned kIndexBits = 10;  // of a CID
  static constexpr uint16_t kIndexMask = (1 << kIndexBits) - 1;
  static_assert(kEntriesMax - 2 < kIndexMask, "no command has the ID FFFFh, which error log entries have for none");
  static constexpr size_t kReapMax = 64;  // completions of one batch: what comes meanwhile waits for the next cycle

  struct alignas(64) Tracker {
    Recipient recipient;
    Instant deadline;
    uint32_t position = 0;       // of its entry, counted from the queue's creation
    uint16_t cid = 0;            // of its command, or of the last one
    uint16_t next_free = kNone;  // index
    uint8_t warnings = 0;
    bool is_outstanding = false;
  };
  static_assert(sizeof(Tracker) == 64, "a command touches one cache line of trackers");

  static size_t cq_offset(uint32_t entries) { return align_up(uint64_t{entries} * sizeof(Sqe), kPageBytes); }
  static size_t lists_offset(uint32_t entries) { return cq_offset(entries) + align_up(uint64_t{entries} * sizeof(Cqe), kPageBytes); }

  bool phase_of(uint32_t index) const;
  void take(const Cqe& cqe);
  const char* why_impossible(const Cqe& cqe) const;
  uint32_t distance(uint32_t from, uint32_t to) const { return to >= from ? to - from : to + shape_.entries - from; }
  void release(Tracker& tracker);
  void begin_anew();

  pci::Function& function_;
  Shape shape_;
  pci::DmaBuffer memory_;
  Sqe* sq_;
  Cqe* cq_;
  Doorbell sq_bell_;
  Doorbell cq_bell_;
  std::vector<Tracker> trackers_;
  uint16_t free_ = kNone;  // index: the tracker that was freed last, whose cache line is warm, heads the list
  uint32_t outstanding_ = 0;
  uint32_t sq_tail_ = 0;       // where the next entry goes
  uint32_t sq_tail_told_ = 0;  // what the device knows of it
  uint32_t sq_head_ = 0;       // what the device has told of its head
  uint32_t begun_ = 0;         // entries since the creation, modulo 2^32
  uint32_t fetched_ = 0;       // of them, what the device's heads say that it has fetched
  uint32_t cq_head_ = 0;
  uint32_t cq_head_told_ = 0;
  bool phase_ = true;  // of completions that are new: the memory is zero at first
  const char* broken_ = nullptr;
};

}  // namespace weft::nvme
