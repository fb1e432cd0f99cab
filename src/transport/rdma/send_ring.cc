#include "transport/rdma/send_ring.h"

#include <bit>

#include "base/assert.h"
#include "nvmf/command.h"

namespace weft::rdma {

SendRing::SendRing(uint32_t capacity, Writes writes) : entries_(std::bit_floor(capacity)), writes_(writes) { WEFT_ASSERT(capacity >= 2); }

SendRing::Entry& SendRing::stage(Kind kind, nvmf::Command& command) {
  WEFT_ASSERT(room() > 0);
  Entry& entry = at(tail_);
  entry = {};
  entry.request.wr_id = tail_;
  entry.command = &command;
  entry.kind = kind;
  ++tail_;
  ++since_signal_;
  return entry;
}

void SendRing::transfer(Entry& entry, const Transfer& transfer, ibv_wr_opcode opcode) {
  entry.piece = {.addr = transfer.local_address, .length = transfer.length, .lkey = transfer.local_key};
  entry.request.sg_list = &entry.piece;
  entry.request.num_sge = 1;
  entry.request.opcode = opcode;
  entry.request.wr.rdma = {.remote_addr = transfer.remote_address, .rkey = transfer.remote_key};
}

void SendRing::stage_write(const Transfer& what, nvmf::Command& command) {
  Entry& entry = stage(Kind::kWrite, command);
  transfer(entry, what, IBV_WR_RDMA_WRITE);
  if (writes_ == Writes::kSignalled) signal(entry);
}

void SendRing::stage_read(const Transfer& what, nvmf::Command& command) {
  Entry& entry = stage(Kind::kRead, command);
  transfer(entry, what, IBV_WR_RDMA_READ);
  ++reads_;
  signal(entry);
}

void SendRing::stage_response(const nvme::Cqe& cqe, std::optional<uint32_t> key_to_invalidate, HeldBuffer buffer, nvmf::Command& command) {
  Entry& entry = stage(Kind::kResponse, command);
  entry.cqe = cqe;
  entry.piece = {.addr = reinterpret_cast<uint64_t>(&entry.cqe), .length = sizeof entry.cqe, .lkey = 0};
  entry.request.sg_list = &entry.piece;
  entry.request.num_sge = 1;
  entry.request.send_flags = IBV_SEND_INLINE;
  entry.request.opcode = key_to_invalidate ? IBV_WR_SEND_WITH_INV : IBV_WR_SEND;
  if (key_to_invalidate) entry.request.invalidate_rkey = *key_to_invalidate;
  entry.buffer = buffer;
  ++responses_staged_;
  ++responses_since_signal_;
  bytes_since_signal_ += buffer.bytes.size();
  const bool is_due = responses_since_signal_ >= kResponsesPerSignal || bytes_since_signal_ >= kBytesPerSignal ||
                      since_signal_ + kResponseRequestsMax > entries_.size() / 2;
  if (is_due) signal(entry);
}

void SendRing::signal(Entry& entry) {
  WEFT_ASSERT(!entry.is_signalled);
  entry.is_signalled = true;
  entry.request.send_flags |= IBV_SEND_SIGNALED;
  ++signalled_;
  since_signal_ = responses_since_signal_ = 0;
  bytes_since_signal_ = 0;
}

void SendRing::signal_last() {
  WEFT_ASSERT(has_staged());
  if (is_last_silent()) signal(at(tail_ - 1));
}

ibv_send_wr* SendRing::chain() {
  if (!has_staged()) return nullptr;
  ibv_send_wr* first = &at(staged_).request;
  for (uint32_t i = staged_; i != tail_; ++i) at(i).request.next = i + 1 == tail_ ? nullptr : &at(i + 1).request;
  staged_ = tail_;
  responses_staged_ = 0;
  return first;
}

void SendRing::keep_sinks() {
  for (uint32_t i = head_; i != tail_; ++i) {
    Entry& entry = at(i);
    nvmf::Command* command = std::exchange(entry.command, nullptr);
    if (entry.kind == Kind::kRead) entry.buffer = {command->share, std::exchange(command->buffer, {})};
  }
}

void SendRing::note_done(uint32_t sequence) {
  if (int32_t(sequence - head_) < 0 || int32_t(sequence - tail_) >= 0) return;
  at(sequence).is_done = true;
  if (int32_t(sequence + 1 - done_) > 0) done_ = sequence + 1;
}

bool SendRing::is_oldest_done() {
  if (head_ == tail_ || int32_t(done_ - head_) <= 0) return false;
  const Entry& oldest = at(head_);
  return oldest.kind != Kind::kRead || oldest.is_done;
}

SendRing::Done SendRing::pop() {
  Entry& entry = at(head_);
  ++head_;
  if (int32_t(staged_ - head_) < 0) staged_ = head_;
  if (entry.is_signalled) --signalled_;
  if (entry.kind == Kind::kRead) --reads_;
  return {entry.kind, entry.command, std::exchange(entry.buffer, {})};
}

}  // namespace weft::rdma
