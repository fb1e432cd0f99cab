#include "host/rdma_connection.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "wire/rdma/segment.h"

namespace weft::host {

using nvme::SglDescriptor;

namespace {

constexpr uint8_t kPsdtSgl = uint8_t(nvme::Psdt::kSglContiguousMetadata) << 6;

uint64_t address_of(const std::byte* bytes) { return reinterpret_cast<uintptr_t>(bytes); }

}  // namespace

RdmaConnection::RdmaConnection(const QueueOptions& options, QueueEvents& events, uint16_t descriptors)
    : options_(options), events_(&events), descriptors_(std::min<uint16_t>(descriptors, kDescriptorsMax)), slots_(options.entries) {
  WEFT_ASSERT(options.entries > 0 && options.entries <= kQueueEntriesMax && descriptors > 0);
  free_.reserve(options.entries);
  unplaced_.reserve(options.entries);
  for (uint16_t i = options.entries; i > 0; --i) free_.push_back(uint16_t(i - 1));
}

RdmaConnection::~RdmaConnection() {
  WEFT_ASSERT(phase_ == Phase::kEnded);
  WEFT_ASSERT(capsules_.empty());
}

bool RdmaConnection::take_memory(const RdmaMemory& memory) {
  memory_ = &memory;
  capsules_ = memory.capsules.try_take(slots_.size() * kCapsuleBytes);
  return !capsules_.empty();
}

rdma::RequestData RdmaConnection::request() const {
  return rdma::encode(rdma::Request{.qid = options_.qid, .receive_entries = options_.entries, .send_entries = options_.entries, .cntlid = options_.cntlid});
}

void RdmaConnection::established() {
  if (phase_ != Phase::kConnecting) return;
  phase_ = Phase::kReady;
  events_->on_open();
}

// --- commands -----------------------------------------------------------------------------------------------------------------------------------

void RdmaConnection::submit(Command& command) {
  WEFT_ASSERT(has_room());
  WEFT_ASSERT(command.out.empty() || command.in.empty());
  Slot& slot = slots_[free_.back()];
  free_.pop_back();
  WEFT_ASSERT(slot.command == nullptr && slot.bounce.empty());
  slot.command = &command;
  slot.response.reset();
  slot.is_posted = false;
  slot.is_sent = false;
  command.sqe.cid = cid_of(slot);
  const bool is_out = !command.out.empty();
  std::span<const std::byte> data = is_out ? command.out : command.in;
  if (!data.empty() && !memory_->data.contains(data)) {
    slot.bounce = memory_->data.try_take(data.size());
    if (slot.bounce.empty()) return unplaced_.push_back(index_of(slot));
    if (is_out) std::memcpy(slot.bounce.data(), data.data(), data.size());
    data = slot.bounce;
  }
  build(slot, data, is_out);
}

/// As a Linux host: the data of short I/O writes travels in the capsule, all other by a key.
bool RdmaConnection::goes_in_capsule(size_t size, bool is_out) const {
  return is_out && options_.kind == QueueKind::kIo && size <= options_.in_capsule_bytes && descriptors_ == 1;
}

size_t RdmaConnection::descriptors_for(size_t size) const {
  constexpr size_t kPieceMin = 512;
  if (options_.kind == QueueKind::kAdmin || size < descriptors_ * kPieceMin) return 1;
  const size_t fitting = std::min({size_t{descriptors_}, size_t{options_.descriptors_max}, options_.in_capsule_bytes / sizeof(SglDescriptor)});
  return std::max<size_t>(fitting, 1);
}

void RdmaConnection::build(Slot& slot, std::span<const std::byte> data, bool is_out) {
  nvme::Sqe sqe = slot.command->sqe;
  sqe.flags = uint8_t((sqe.flags & 0x3f) | kPsdtSgl);
  sqe.sgl = {};
  uint32_t capsule_bytes = sizeof sqe;
  slot.request.num_sge = 1;
  if (data.empty()) {
    sqe.sgl.type = SglDescriptor::kKeyedDataBlock;
  } else if (goes_in_capsule(data.size(), is_out)) {
    sqe.sgl.length = uint32_t(data.size());
    sqe.sgl.type = SglDescriptor::kDataBlockOffset;
    slot.pieces[1] = {.addr = address_of(data.data()), .length = uint32_t(data.size()), .lkey = memory_->data_region.lkey};
    slot.request.num_sge = 2;
  } else {
    if (slot.window.exists()) {
      slot.window.bind(slot.window_request, memory_->data_region, data, is_out ? IBV_ACCESS_REMOTE_READ : IBV_ACCESS_REMOTE_WRITE);
      append(slot.window_request, slot, Work::kBind);
    }
    capsule_bytes += add_descriptors(slot, sqe, data);
  }
  std::memcpy(capsule_of(slot), &sqe, sizeof sqe);
  stage(slot, capsule_bytes);
}

/// Names the data, in the SQE or in a list behind it. Returns the bytes of that list.
uint32_t RdmaConnection::add_descriptors(const Slot& slot, nvme::Sqe& sqe, std::span<const std::byte> data) const {
  const bool has_window = slot.window.is_bound();
  const uint32_t key = has_window ? slot.window.key() : memory_->data_region.rkey;
  const auto keyed = [&](std::span<const std::byte> part) {
    return rdma::descriptor_of({.address = address_of(part.data()), .length = uint32_t(part.size()), .key = key, .is_to_invalidate = has_window});
  };
  const size_t count = descriptors_for(data.size());
  if (count == 1) {
    sqe.sgl = keyed(data);
    return 0;
  }
  sqe.sgl.length = uint32_t(count * sizeof(SglDescriptor));
  sqe.sgl.type = SglDescriptor::kLastSegmentOffset;
  std::byte* list = capsule_of(slot) + sizeof sqe;
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = data.size() * i / count;
    const SglDescriptor descriptor = keyed(data.subspan(begin, data.size() * (i + 1) / count - begin));
    std::memcpy(list + i * sizeof descriptor, &descriptor, sizeof descriptor);
  }
  return uint32_t(count * sizeof(SglDescriptor));
}

void RdmaConnection::stage(Slot& slot, uint32_t capsule_bytes) {
  slot.pieces[0] = {.addr = address_of(capsule_of(slot)), .length = capsule_bytes, .lkey = memory_->capsules_key};
  slot.request.sg_list = slot.pieces.data();
  slot.request.opcode = IBV_WR_SEND;
  slot.request.send_flags = IBV_SEND_SIGNALED;
  append(slot.request, slot, Work::kSend);
}

void RdmaConnection::append(ibv_send_wr& request, const Slot& slot, Work work) {
  request.wr_id = index_of(slot) | uint64_t(work) << kWorkShift;
  request.next = nullptr;
  (last_ == nullptr ? first_ : last_->next) = &request;
  last_ = &request;
}

ibv_send_wr* RdmaConnection::take_chain() {
  if (phase_ != Phase::kReady) return nullptr;
  for (const ibv_send_wr* request = first_; request != nullptr; request = request->next) slot_of(request->wr_id).is_posted = true;
  last_ = nullptr;
  return std::exchange(first_, nullptr);
}

void RdmaConnection::complete_unplaced() {
  if (phase_ != Phase::kReady || unplaced_.empty()) return;
  // Those that come of the completions are for the next time.
  for (size_t left = unplaced_.size(); left > 0 && phase_ == Phase::kReady; --left) {
    Slot& slot = slots_[unplaced_.front()];
    unplaced_.erase(unplaced_.begin());
    nvme::Cqe cqe{};
    cqe.status = nvme::status::kDataTransferError.to_cqe();
    complete(slot, cqe);
  }
}

// --- responses ----------------------------------------------------------------------------------------------------------------------------------

void RdmaConnection::received(std::span<const std::byte> bytes, const ibv_wc& completion) {
  if (phase_ >= Phase::kClosing) return;
  if (bytes.size() != sizeof(nvme::Cqe)) return violated("the target sent a response of {} bytes where {} are due", bytes.size(), sizeof(nvme::Cqe));
  const nvme::Cqe cqe = *view<nvme::Cqe>(bytes);
  const uint16_t cid = cqe.cid;
  const uint32_t index = bits<11, 0>(cid);
  Slot* slot = index < slots_.size() ? &slots_[index] : nullptr;
  if (slot == nullptr || slot->command == nullptr || cid_of(*slot) != cid || !slot->is_posted || slot->response) {
    return violated("the target sent a response with CID {:04x}h, which is not outstanding", cid);
  }
  if ((completion.wc_flags & IBV_WC_WITH_INV) != 0) {
    if (!take_invalidation(*slot, completion.invalidated_rkey)) return;
  } else if (slot->window.is_bound()) {  // which is the target's right
    slot->window.invalidate(slot->window_request);
    slot->window_request.send_flags = IBV_SEND_SIGNALED;
    append(slot->window_request, *slot, Work::kInvalidate);
  }
  slot->response = cqe;
  complete_if_done(*slot);
}

/// False: that was not this command's key to invalidate.
bool RdmaConnection::take_invalidation(Slot& slot, uint32_t key) {
  if (!slot.window.is_bound() || slot.window.key() != key) {
    violated("the target invalidated the key {:08x}h, which the command has not asked for", key);
    return false;
  }
  slot.window.invalidated();
  return true;
}

void RdmaConnection::done(const ibv_wc& completion) {
  // Flushed: the connection ends, and the link is told so with the reason.
  if (phase_ >= Phase::kClosing || completion.status == IBV_WC_WR_FLUSH_ERR) return;
  Slot& slot = slot_of(completion.wr_id);
  const auto work = Work(completion.wr_id >> kWorkShift);
  if (completion.status != IBV_WC_SUCCESS) {
    constexpr const char* kWhat[] = {"a capsule could not be sent", "a memory window could not be bound", "a memory window could not be invalidated"};
    return close(Error{Errc::kIo, fmt::format("{} (work completion status {})", kWhat[size_t(work)], int(completion.status))});
  }
  WEFT_ASSERT(slot.command != nullptr);
  switch (work) {
    case Work::kSend:
      WEFT_ASSERT(!slot.is_sent);
      slot.is_sent = true;
      break;
    case Work::kBind: return;  // its SEND says more
    case Work::kInvalidate: slot.window.invalidated(); break;
  }
  complete_if_done(slot);
}

void RdmaConnection::complete_if_done(Slot& slot) {
  if (slot.response && slot.is_sent && !slot.window.is_bound()) complete(slot, *slot.response);
}

void RdmaConnection::complete(Slot& slot, const nvme::Cqe& cqe) {
  Command& command = *std::exchange(slot.command, nullptr);
  if (!slot.bounce.empty()) {
    if (!command.in.empty() && cqe.decoded_status().ok()) std::memcpy(command.in.data(), slot.bounce.data(), command.in.size());
    memory_->data.give_back(std::exchange(slot.bounce, {}));
  }
  ++slot.generation;
  free_.push_back(index_of(slot));
  command.on_completed(cqe);
}

// --- the end ------------------------------------------------------------------------------------------------------------------------------------

void RdmaConnection::close(const Error& reason) {
  if (phase_ >= Phase::kClosing) return;
  phase_ = Phase::kClosing;
  reason_ = reason;
  first_ = last_ = nullptr;
}

void RdmaConnection::end(const Error& reason) {
  if (phase_ == Phase::kEnded) return;
  phase_ = Phase::kEnded;
  if (!reason_) reason_ = reason;
  first_ = last_ = nullptr;
  for (Slot& slot : slots_) {
    if (slot.command == nullptr) continue;
    nvme::Cqe cqe{};
    cqe.cid = cid_of(slot);
    cqe.status = nvme::status::kAbortedByHost.to_cqe();
    std::exchange(slot.command, nullptr)->on_completed(cqe);
  }
  std::exchange(events_, nullptr)->on_closed(*reason_);
}

void RdmaConnection::release_memory() {
  WEFT_ASSERT(phase_ == Phase::kEnded);
  if (memory_ == nullptr) return;
  for (Slot& slot : slots_) memory_->data.give_back(std::exchange(slot.bounce, {}));
  memory_->capsules.give_back(std::exchange(capsules_, {}));
}

}  // namespace weft::host
