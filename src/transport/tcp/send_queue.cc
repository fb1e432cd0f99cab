#include "transport/tcp/send_queue.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/assert.h"
#include "base/simulation.h"

namespace weft::tcp {

std::unique_ptr<BlockPool::Block> BlockPool::take() {
  if (free_.empty()) return std::make_unique_for_overwrite<Block>();
  auto block = std::move(free_.back());
  free_.pop_back();
  return block;
}

SendQueue::Chunk* SendQueue::chunk_of(const std::unique_ptr<BlockPool::Block>& block) {
  return block == nullptr ? nullptr : std::launder(reinterpret_cast<Chunk*>(block->bytes.data()));
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

std::span<std::byte> SendQueue::append(size_t size) {
  WEFT_ASSERT(size > 0 && size <= kAppendMax);
  Chunk* chunk = tail_;
  if (chunk == nullptr || chunk->header_size + size > chunk->headers.size()) chunk = &add_chunk();
  const std::span room{chunk->headers.data() + chunk->header_size, size};
  chunk->header_size += uint16_t(size);
  size_ += size;
  return room;
}

SendQueue::Piece& SendQueue::add_piece() {
  Chunk* chunk = tail_;
  if (chunk == nullptr || chunk->piece_count == kPieces) chunk = &add_chunk();
  Piece& piece = chunk->pieces[chunk->piece_count++];
  piece = {.data = nullptr, .done = nullptr, .length = 0, .header_end = chunk->header_size, .kind = DataKind::kStable};
  return piece;
}

void SendQueue::append_data(std::span<const std::byte> data, DataKind kind) {
  WEFT_ASSERT(!data.empty());
  Piece& piece = add_piece();
  piece.data = data.data();
  piece.length = uint32_t(data.size());
  piece.kind = kind;
  size_ += data.size();
}

void SendQueue::mark(nvmf::Command& command) {
  // The data's own piece serves when nothing was appended after it and its end has not been passed.
  const bool has_open_piece = tail_ != nullptr && tail_->piece_count > 0 && (tail_ != chunk_of(head_) || piece_ < tail_->piece_count);
  Piece* last = has_open_piece ? &tail_->pieces[tail_->piece_count - 1] : nullptr;
  if (last == nullptr || last->done != nullptr || last->header_end != tail_->header_size) last = &add_piece();
  last->done = &command;
}

std::span<const iovec> SendQueue::gather(std::span<iovec> room) const {
  size_t used = 0;
  const auto add = [&](const std::byte* from, size_t length) {
    if (length == 0 || used == room.size()) return;
    const bool continues = used > 0 && static_cast<std::byte*>(room[used - 1].iov_base) + room[used - 1].iov_len == from;
    if (continues) {
      room[used - 1].iov_len += length;
    } else {
      room[used++] = {const_cast<std::byte*>(from), length};  // the kernel only reads it
    }
  };
  uint16_t piece_index = piece_, header_at = header_at_;
  uint32_t data_at = data_at_;
  uint32_t torn_until = torn_until_;
  for (const Chunk* chunk = chunk_of(head_); chunk != nullptr; chunk = chunk_of(chunk->next)) {
    for (; piece_index < chunk->piece_count && used < room.size(); ++piece_index) {
      const Piece& piece = chunk->pieces[piece_index];
      add(chunk->headers.data() + header_at, piece.header_end - header_at);
      header_at = piece.header_end;
      if (data_at < torn_until) {
        add(torn_->bytes.data() + (data_at - torn_from_), torn_until - data_at);
        data_at = torn_until;
      }
      if (piece.length > data_at) add(piece.data + data_at, piece.length - data_at);
      data_at = torn_until = 0;  // only the cursor's piece can have been cut
      if (used == room.size()) return room;
    }
    add(chunk->headers.data() + header_at, chunk->header_size - header_at);
    if (used == room.size()) return room;
    piece_index = header_at = 0;
  }
  return room.first(used);
}

void SendQueue::sent(size_t bytes) {
  WEFT_ASSERT(bytes <= size_ && budget_ == 0);
  size_ -= bytes;
  budget_ = bytes;
}

size_t SendQueue::consume_headers(uint16_t end) {
  const size_t count = std::min<size_t>(budget_, end - header_at_);
  header_at_ += uint16_t(count);
  budget_ -= count;
  return size_t(end - header_at_);
}

nvmf::Command* SendQueue::take_done() {
  while (head_ != nullptr) {
    Chunk& chunk = *chunk_of(head_);
    if (piece_ == chunk.piece_count) {
      if (consume_headers(chunk.header_size) > 0) break;
      drop_head();
      continue;
    }
    const Piece& piece = chunk.pieces[piece_];
    if (consume_headers(piece.header_end) > 0) break;
    const auto taken = uint32_t(std::min<size_t>(budget_, piece.length - data_at_));
    data_at_ += taken;
    budget_ -= taken;
    if (data_at_ < piece.length) {
      protect_cut(piece);
      break;
    }
    data_at_ = torn_from_ = torn_until_ = 0;
    if (torn_ != nullptr) pool_.give_back(std::move(torn_));
    nvmf::Command* done = piece.done;
    ++piece_;
    if (done != nullptr) return done;
  }
  WEFT_ASSERT(budget_ == 0);
  return nullptr;
}

/// The send has stopped before byte data_at_ of `piece`.
void SendQueue::protect_cut(const Piece& piece) {
  if (piece.kind == DataKind::kStable || data_at_ % kTornUnit == 0 || data_at_ < torn_until_) return;
  WEFT_PROBE("tcp/lent-block-is-cut");
  if (torn_ == nullptr) torn_ = pool_.take();
  torn_from_ = data_at_;
  torn_until_ = std::min<uint32_t>(data_at_ - data_at_ % kTornUnit + kTornUnit, piece.length);
  std::memcpy(torn_->bytes.data(), piece.data + torn_from_, torn_until_ - torn_from_);
}

void SendQueue::clear() {
  while (head_ != nullptr) drop_head();
  if (torn_ != nullptr) pool_.give_back(std::move(torn_));
  size_ = budget_ = 0;
  data_at_ = torn_from_ = torn_until_ = 0;
}

}  // namespace weft::tcp
