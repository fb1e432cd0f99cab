#include "transport/tcp/send_queue.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/simulation.h"

namespace weft::tcp {

std::unique_ptr<BlockPool::Block> BlockPool::take() {
  if (free_.empty()) return std::make_unique_for_overwrite<Block>();
  auto block = std::move(free_.back());
  free_.pop_back();
  return block;
}

BlockPool::Block& BlockPool::stage(size_t index) {
  if (stage_[index] == nullptr) stage_[index] = take();
  return *stage_[index];
}

SendQueue::Chunk& SendQueue::add_chunk() {
  auto block = pool_.take();
  auto* chunk = new (block->bytes.data()) Chunk;
  (tail_ == nullptr ? head_ : tail_->next) = std::move(block);
  tail_ = chunk;
  return *chunk;
}

void SendQueue::drop_head() {
  Chunk* chunk = chunk_of(head_);
  auto next = std::move(chunk->next);
  chunk->~Chunk();
  pool_.give_back(std::exchange(head_, std::move(next)));
  if (head_ == nullptr) tail_ = nullptr;
  piece_ = header_at_ = 0;
}

void SendQueue::mark(nvmf::Command& command) {
  // The data's own piece serves when nothing was appended after it and its end has not been passed.
  const bool has_open_piece = tail_ != nullptr && tail_->piece_count > 0 && (tail_ != chunk_of(head_) || piece_ < tail_->piece_count);
  Piece* last = has_open_piece ? &tail_->pieces[tail_->piece_count - 1] : nullptr;
  if (last != nullptr && last->done == nullptr && last->header_end == tail_->header_size) {
    last->done = &command;
    return;
  }
  Chunk* chunk = tail_;
  if (chunk == nullptr || chunk->piece_count == kPieces) chunk = &add_chunk();
  chunk->pieces[chunk->piece_count++] = {.data = nullptr, .done = &command, .length = 0, .header_end = chunk->header_size, .kind = DataKind::kStable, .stage = 0};
}

[[gnu::noinline]] const std::byte* SendQueue::stage(Chunk& chunk, Piece& piece, size_t to) {
  piece.stage = uint8_t(to);
  std::byte* const copy = pool_.stage(to).bytes.data();
  const Piece* const behind = &piece + 1;
  const std::byte* const next = behind < chunk.pieces.data() + chunk.piece_count ? behind->data : nullptr;
  store_le32(chunk.headers.data() + piece.header_end, copy_with_crc32c(copy, {piece.data, piece.length}, next));
  return copy;
}

std::span<const iovec> SendQueue::gather(std::span<iovec> room, size_t bytes_max) {
  iovec* next = room.data();
  iovec* const end = next + room.size();
  const auto add = [&](const std::byte* from, size_t length) {
    if (next != end) *next++ = {const_cast<std::byte*>(from), length};  // the kernel only reads it
  };
  size_t index = piece_, header_at = header_at_, bytes = 0;  // of data, and what of it has left: the rest is small beside it
  uint32_t data_at = data_at_;
  size_t staged = 0;
  for (Chunk* chunk = chunk_of(head_); chunk != nullptr; chunk = chunk_of(chunk->next)) {
    for (; index < chunk->piece_count && next != end && bytes < bytes_max; ++index) {
      Piece& piece = chunk->pieces[index];
      if (piece.length == 0) continue;  // the bytes before it and those behind it are one run
      if (piece.header_end != header_at) add(chunk->headers.data() + header_at, piece.header_end - header_at);
      header_at = piece.header_end;
      bytes += piece.length;
      if (data_at == 0) {
        const std::byte* from = piece.data;
        if (piece.kind == DataKind::kLentWithDigest) {
          from = stage(*chunk, piece, staged);
          if (++staged == BlockPool::kStageBlocks) bytes_max = 0;  // there is no block for more
        }
        add(from, piece.length);
        continue;
      }
      // Only the cursor's piece can have been cut.
      if (data_at < torn_until_) add(torn_->bytes.data() + (data_at - torn_from_), torn_until_ - data_at);
      data_at = std::max(data_at, torn_until_);
      if (data_at < piece.length) add(piece.data + data_at, piece.length - data_at);
      data_at = 0;
    }
    if (next == end || bytes >= bytes_max) break;
    if (chunk->header_size != header_at) add(chunk->headers.data() + header_at, chunk->header_size - header_at);
    index = header_at = 0;
  }
  return {room.data(), next};
}

void SendQueue::sent(size_t bytes) {
  WEFT_ASSERT(bytes <= size_ && budget_ == 0);
  size_ -= bytes;
  budget_ = bytes;
}

bool SendQueue::pass_chunk() {
  if (head_ != nullptr) {
    const uint16_t end = chunk_of(head_)->header_size;
    const size_t taken = std::min<size_t>(budget_, end - header_at_);
    header_at_ += uint16_t(taken);
    budget_ -= taken;
    if (header_at_ == end) {
      drop_head();
      if (head_ != nullptr) return true;
    }
  }
  WEFT_ASSERT(budget_ == 0);
  return false;
}

void SendQueue::cut(const Piece& piece) {
  const size_t of_header = std::min<size_t>(budget_, piece.header_end - header_at_);
  header_at_ += uint16_t(of_header);
  data_at_ += uint32_t(budget_ - of_header);
  budget_ = 0;
  if (piece.kind == DataKind::kStable || data_at_ % kTornUnit == 0 || data_at_ < torn_until_) return;
  if (piece.kind == DataKind::kLentWithDigest) {
    WEFT_PROBE("tcp/staged-block-is-cut");
    torn_ = pool_.take_stage(piece.stage);
    torn_from_ = 0;
    torn_until_ = piece.length;
    return;
  }
  WEFT_PROBE("tcp/lent-block-is-cut");
  if (torn_ == nullptr) torn_ = pool_.take();
  torn_from_ = data_at_;
  torn_until_ = std::min<uint32_t>(data_at_ - data_at_ % kTornUnit + kTornUnit, piece.length);
  std::memcpy(torn_->bytes.data(), piece.data + torn_from_, torn_until_ - torn_from_);
}

void SendQueue::forget_cut() {
  data_at_ = torn_from_ = torn_until_ = 0;
  if (torn_ != nullptr) pool_.give_back(std::move(torn_));
}

void SendQueue::clear() {
  while (head_ != nullptr) drop_head();
  forget_cut();
  size_ = budget_ = 0;
}

}  // namespace weft::tcp
