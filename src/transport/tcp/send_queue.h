// What a connection has to send, in order: small header bytes, packed beside each other, and references to data between them. Takes its room
// in blocks from the reactor's pool and owns none when it is empty. One send gathers up to as many pieces as the caller has iovecs for.
//
//   headers  | C2HData 24 | C2HData 24 | resp 24 resp 24 resp 24 |     one run of responses without data is one iovec
//   pieces        data ^       data ^        done ^ done ^ done ^
//
// A send takes only part of what is there: to the end of the data that reaches a number of bytes, so that a connection with much to send does not keep
// the others waiting.
//
// Lent data (media memory) may change until it is sent. Where a send stops inside a block of it, the rest of that block is copied, so that
// the host never sees half of an older and half of a newer block. Lent data with a digest is copied as the send is gathered, which gives the digest in
// passing; what a send leaves of such a piece is sent from that copy.
#pragma once
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "base/assert.h"
#include "wire/tcp/pdu.h"

namespace weft::nvmf {
struct Command;
}

namespace weft::tcp {

/// Blocks of one size, made when first needed and kept for reuse. One per reactor.
class BlockPool {
 public:
  static constexpr size_t kBlockSize = 4096;  // bytes; the largest block of a medium fits
  struct Block {
    alignas(64) std::array<std::byte, kBlockSize> bytes;
  };
  std::unique_ptr<Block> take();
  void give_back(std::unique_ptr<Block> block) { free_.push_back(std::move(block)); }

  // Where the data of one send is copied: the same blocks for all queues, one send after the other, so that they stay in the cache.
  static constexpr size_t kStageBlocks = 128;
  /// Requires: index < kStageBlocks.
  Block& stage(size_t index);
  /// Takes one of them away. Requires: stage(index) was called since.
  std::unique_ptr<Block> take_stage(size_t index) { return std::move(stage_[index]); }

 private:
  std::vector<std::unique_ptr<Block>> free_;
  std::array<std::unique_ptr<Block>, kStageBlocks> stage_;
};

/// Whether the bytes of a piece stay as they are until they are sent.
enum class DataKind : uint8_t { kStable, kLent, kLentWithDigest };

class SendQueue {
 public:
  static constexpr size_t kAppendMax = 256;  // bytes of one append()
  static constexpr size_t kStagedMax = BlockPool::kBlockSize;  // bytes of data that is kLentWithDigest

  /// Outlives: `pool` outlives the queue.
  explicit SendQueue(BlockPool& pool) : pool_(pool) {}
  ~SendQueue() { clear(); }
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;

  /// Room for `size` contiguous bytes at the end, to be filled before the next call. Requires: 0 < size <= kAppendMax.
  std::span<std::byte> append(size_t size);
  /// Likewise, and `data` to be sent after it: lent until take_done() gives `done` or a command marked later, or clear(). `size` may be 0. kLentWithDigest:
  /// the CRC32C of the data stands behind it; data.size() <= kStagedMax. `done`, if not null: take_done() gives it when the data has been sent.
  std::span<std::byte> append(size_t size, std::span<const std::byte> data, DataKind kind, nvmf::Command* done = nullptr);
  /// take_done() gives `command` when everything before this has been sent.
  void mark(nvmf::Command& command);

  /// Bytes that wait.
  size_t size() const { return size_; }
  /// The front of the queue, as far as `room` reaches, or to the end of the data that reaches `bytes_max`; returns the part of `room` used. What it
  /// points to stays as it is until another queue of the pool is asked.
  std::span<const iovec> gather(std::span<iovec> room, size_t bytes_max);
  /// `bytes` more of the front have left. Then take_done() until it gives null. Requires: bytes <= size().
  void sent(size_t bytes);
  /// The next command whose last byte has left, or null. Also without sent(), for a mark with nothing before it.
  /// Elements may be added between two calls.
  nvmf::Command* take_done();
  /// Drops everything.
  void clear();

 private:
  static constexpr size_t kTornUnit = 4096;  // bytes: a multiple of every medium's block size; data starts at a block
  static constexpr size_t kPieces = 72;
  /// What follows the header bytes up to `header_end`.
  struct Piece {
    const std::byte* data;
    nvmf::Command* done;    // null: none
    uint32_t length;        // 0: no data, only `done`
    uint16_t header_end;
    DataKind kind;
    uint8_t stage;          // kLentWithDigest: which block has its copy, since it was gathered last
  };
  static_assert(BlockPool::kStageBlocks <= 256);
  struct Chunk {
    std::unique_ptr<BlockPool::Block> next;
    uint16_t header_size = 0;
    uint16_t piece_count = 0;
    std::array<Piece, kPieces> pieces;
    std::array<std::byte, BlockPool::kBlockSize - 16 - kPieces * sizeof(Piece)> headers;
  };
  static_assert(sizeof(Chunk) == BlockPool::kBlockSize);

  /// Copies the data of `piece` into block `to` and puts its digest in place. Returns the copy.
  const std::byte* stage(Chunk& chunk, Piece& piece, size_t to);
  static Chunk* chunk_of(const std::unique_ptr<BlockPool::Block>& block);
  Chunk& add_chunk();
  void drop_head();
  /// The cursor is behind the pieces of the head chunk, if there is one: on to the next. False: there is none, or the budget ends before it.
  bool pass_chunk();
  /// The budget ends inside `piece`: moves the cursor to its end.
  void cut(const Piece& piece);
  void forget_cut();

  BlockPool& pool_;
  std::unique_ptr<BlockPool::Block> head_;  // owns the chain
  Chunk* tail_ = nullptr;
  size_t size_ = 0;
  size_t budget_ = 0;  // bytes sent that the cursor has not moved over yet
  // The cursor: what of the head chunk has left.
  uint16_t piece_ = 0;
  uint16_t header_at_ = 0;
  uint32_t data_at_ = 0;  // not 0: a send has ended inside the data of the cursor's piece
  // A copy of bytes [torn_from_, torn_until_) of the cursor's piece.
  std::unique_ptr<BlockPool::Block> torn_;
  uint32_t torn_from_ = 0;
  uint32_t torn_until_ = 0;
};

[[gnu::always_inline]] inline std::span<std::byte> SendQueue::append(size_t size) {
  WEFT_ASSERT(size > 0 && size <= kAppendMax);
  Chunk* chunk = tail_;
  if (chunk == nullptr || chunk->header_size + size > chunk->headers.size()) chunk = &add_chunk();
  const std::span room{chunk->headers.data() + chunk->header_size, size};
  chunk->header_size += uint16_t(size);
  size_ += size;
  return room;
}

[[gnu::always_inline]] inline std::span<std::byte> SendQueue::append(size_t size, std::span<const std::byte> data, DataKind kind, nvmf::Command* done) {
  WEFT_ASSERT(size <= kAppendMax && !data.empty() && (kind != DataKind::kLentWithDigest || data.size() <= kStagedMax));
  // The digest is written when the data is gathered, to the place behind its piece's header bytes: so it stands in the same chunk.
  const size_t digest_size = kind == DataKind::kLentWithDigest ? kDigestSize : 0;
  Chunk* chunk = tail_;
  if (chunk == nullptr || chunk->header_size + size + digest_size > chunk->headers.size() || chunk->piece_count == kPieces) chunk = &add_chunk();
  const std::span room{chunk->headers.data() + chunk->header_size, size};
  const auto header_end = uint16_t(chunk->header_size + size);
  chunk->header_size = uint16_t(header_end + digest_size);
  WEFT_CHECK_SLOW(chunk->header_size <= chunk->headers.size());
  chunk->pieces[chunk->piece_count++] = {
      .data = data.data(), .done = done, .length = uint32_t(data.size()), .header_end = header_end, .kind = kind, .stage = 0};
  size_ += size + data.size() + digest_size;
  return room;
}

inline SendQueue::Chunk* SendQueue::chunk_of(const std::unique_ptr<BlockPool::Block>& block) {
  return block == nullptr ? nullptr : std::launder(reinterpret_cast<Chunk*>(block->bytes.data()));
}

inline nvmf::Command* SendQueue::take_done() {
  for (;;) {
    const Chunk* chunk = chunk_of(head_);
    if (chunk == nullptr || piece_ == chunk->piece_count) {
      if (!pass_chunk()) return nullptr;
      continue;
    }
    const Piece& piece = chunk->pieces[piece_];
    const uint64_t rest = uint64_t{piece.header_end} + piece.length - header_at_ - data_at_;
    if (budget_ < rest) {
      cut(piece);
      return nullptr;
    }
    budget_ -= rest;
    header_at_ = piece.header_end;
    ++piece_;
    if (data_at_ != 0) forget_cut();
    if (piece.done != nullptr) return piece.done;
  }
}

}  // namespace weft::tcp
