#include "nvme/queue_pair.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/simulation.h"

namespace weft::nvme {

size_t QueuePair::memory_bytes(uint32_t entries) { return lists_offset(entries) + size_t{entries - 1} * kPageBytes; }

QueuePair::QueuePair(pci::Function& function, const Shape& shape, pci::DmaBuffer memory, const ShadowDoorbells& shadows)
    : function_(function),
      shape_(shape),
      memory_(std::move(memory)),
      sq_(reinterpret_cast<Sqe*>(memory_.bytes().data())),
      cq_(reinterpret_cast<Cqe*>(memory_.bytes().data() + cq_offset(shape.entries))),
      sq_bell_(function, sq_tail_doorbell(shape.qid, shape.doorbell_stride), shadows),
      cq_bell_(function, cq_head_doorbell(shape.qid, shape.doorbell_stride), shadows),
      trackers_(shape.entries - 1) {
  WEFT_ASSERT(shape.entries >= 2);
  WEFT_ASSERT(shape.entries <= kEntriesMax);
  WEFT_ASSERT(memory_.bytes().size() >= memory_bytes(shape.entries));
  for (size_t index = trackers_.size(); index-- > 0;) {
    trackers_[index].cid = uint16_t(index);
    trackers_[index].next_free = free_;
    free_ = uint16_t(index);
  }
}

QueuePair::~QueuePair() { WEFT_ASSERT(outstanding_ == 0); }

QueuePair::Slot QueuePair::begin(const Recipient& recipient, Instant deadline) {
  WEFT_ASSERT(has_room());
  const uint16_t index = free_;
  Tracker& tracker = trackers_[index];
  WEFT_ASSERT(!tracker.is_outstanding || WEFT_PLANTED("nvme-cid-reused"));
  if (!WEFT_PLANTED("nvme-cid-reused")) free_ = tracker.next_free;
  tracker.recipient = recipient;
  tracker.deadline = deadline;
  tracker.position = begun_++;
  tracker.warnings = 0;
  tracker.is_outstanding = true;
  ++outstanding_;

  Sqe& sqe = sq_[sq_tail_];
  sq_tail_ = sq_tail_ + 1 == shape_.entries ? 0 : sq_tail_ + 1;
  sqe = Sqe{};
  sqe.cid = tracker.cid;
  const auto page = memory_.part(lists_offset(shape_.entries) + size_t{index} * kPageBytes, kPageBytes);
  return {sqe, {{reinterpret_cast<le64*>(page.bytes.data()), kPrpsOfAPage}, page.iova}, tracker.cid};
}

void QueuePair::flush() {
  if (sq_tail_ == sq_tail_told_ && cq_head_ == cq_head_told_) return;
  // Entries, lists and data before the tail that stands for them; what was read of completions before the head that lets the device overwrite them.
  if (!WEFT_PLANTED("nvme-not-published")) function_.publish();
  if (sq_tail_ != sq_tail_told_) sq_bell_.ring(uint16_t(sq_tail_));
  if (cq_head_ != cq_head_told_) cq_bell_.ring(uint16_t(cq_head_));
  sq_tail_told_ = sq_tail_;
  cq_head_told_ = cq_head_;
}

bool QueuePair::phase_of(uint32_t index) const {
  // The device writes it while we look: one load, each time.
  const auto status = *reinterpret_cast<const volatile uint16_t*>(&cq_[index].status);
  return (status & 1) != 0;
}

size_t QueuePair::reap() {
  size_t ready = 0;
  for (uint32_t index = cq_head_; ready < kReapMax; ++ready) {
    const bool expected = index >= cq_head_ ? phase_ : !phase_;  // beyond the end: the next round's
    if (phase_of(index) != expected) break;
    index = index + 1 == shape_.entries ? 0 : index + 1;
  }
  if (ready == 0 || broken_ != nullptr) return 0;
  // The rest of these entries, and the data of their commands, only after their phase bits: the device wrote them before.
  if (!WEFT_PLANTED("nvme-not-observed")) function_.observe();
  for (size_t i = 0; i < ready && broken_ == nullptr; ++i) {
    const Cqe cqe = cq_[cq_head_];
    if (++cq_head_ == shape_.entries) {
      cq_head_ = 0;
      if (!WEFT_PLANTED("nvme-phase-kept")) phase_ = !phase_;
    }
    take(cqe);
  }
  return ready;
}

void QueuePair::take(const Cqe& cqe) {
  broken_ = why_impossible(cqe);
  if (broken_ != nullptr) return;
  fetched_ += distance(sq_head_, cqe.sqhd);
  sq_head_ = cqe.sqhd;
  Tracker& tracker = trackers_[cqe.cid & kIndexMask];
  const Recipient recipient = tracker.recipient;
  release(tracker);
  recipient.on_done(recipient.owner, recipient.tag, {.status = cqe.decoded_status(), .dw0 = cqe.dw0});
}

const char* QueuePair::why_impossible(const Cqe& cqe) const {
  if (cqe.sqid != shape_.qid) return "a completion of another queue";
  const size_t index = cqe.cid & kIndexMask;
  if (index >= trackers_.size()) return "a completion with a command ID that was never used";
  const Tracker& tracker = trackers_[index];
  if (!tracker.is_outstanding || tracker.cid != cqe.cid) return "a completion for a command that is not outstanding";
  if (cqe.sqhd >= shape_.entries) return "a submission queue head beyond the queue's end";
  const uint32_t fetched = distance(sq_head_, cqe.sqhd);
  if (fetched > begun_ - fetched_) return "a submission queue head that has overtaken the tail";
  if (int32_t(tracker.position - (fetched_ + fetched)) >= 0) return "a completion for a command before it was fetched";
  return nullptr;
}

void QueuePair::release(Tracker& tracker) {
  WEFT_ASSERT(tracker.is_outstanding);
  tracker.is_outstanding = false;
  tracker.next_free = free_;
  free_ = tracker.cid & kIndexMask;
  tracker.cid = uint16_t(tracker.cid + (1 << kIndexBits));
  --outstanding_;
}

void QueuePair::end_all() {
  // Recipients may begin nothing before the queue is there again, which their owner sees to.
  std::vector<Recipient> ended;
  for (Tracker& tracker : trackers_) {
    if (!tracker.is_outstanding) continue;
    ended.push_back(tracker.recipient);
    release(tracker);
  }
  begin_anew();
  for (const Recipient& recipient : ended) recipient.on_done(recipient.owner, recipient.tag, {.is_answered = false});
}

void QueuePair::begin_anew() {
  std::ranges::fill(memory_.bytes().first(lists_offset(shape_.entries)), std::byte{0});
  sq_tail_ = sq_tail_told_ = sq_head_ = 0;
  begun_ = fetched_ = 0;
  cq_head_ = cq_head_told_ = 0;
  phase_ = true;
  broken_ = nullptr;
  sq_bell_.reset();
  cq_bell_.reset();
}

std::optional<QueuePair::Overdue> QueuePair::take_overdue(Instant now, Instant next) {
  for (Tracker& tracker : trackers_) {
    if (!tracker.is_outstanding || tracker.deadline > now) continue;
    tracker.deadline = next;
    return Overdue{tracker.cid, tracker.warnings++};
  }
  return std::nullopt;
}

}  // namespace weft::nvme
