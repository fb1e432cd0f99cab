// The data oracle: what one namespace must hold, whatever happens to the hosts and targets that use it. Every command of
// every host on the namespace is told to it when it begins and when it ends; what is read is judged block by block
// (block_history.h), every error must be explained by a fault that was injected (explained_errors.h), and across a power
// cut what was flushed or stable must last. Belongs to the world; outlives hosts, targets and their restarts. Reports to
// the Referee as "oracle", "durability" and "fused".
#pragma once
#include "sim/explained_errors.h"
#include "sim/referee.h"

#include <array>
#include <map>
#include <memory>
#include <set>
#include <span>

namespace weft::sim {

/// What a deallocated block reads as.
enum class Deallocated : uint8_t { kKept, kKeptOrZeroed, kZeroed };

struct VolumeTraits {
  uint32_t nsid = 1;
  uint64_t block_count = 0;
  uint32_t block_size = 512;           // bytes; not more than the medium writes as a whole at a power cut
  bool has_volatile_cache = false;     // writes need a flush, or to be stable, to survive a power cut
  bool survives_the_process = true;    // false: a RAM disk of the target's
  Deallocated deallocated = Deallocated::kZeroed;
};

class Volume {
 public:
  /// All blocks are zeroes. Outlives: the referee outlives the volume.
  Volume(const VolumeTraits& traits, Referee& referee);

  const VolumeTraits& traits() const { return traits_; }

  // --- commands: begin() when the host submits it, then exactly one of the others --------------------------------------
  /// Sets access.id and access.began.
  void begin(Access& access);
  /// It was answered. `data`: what a read with success brought.
  void completed(Access& access, nvme::Status status, std::span<const std::byte> data);
  /// Both halves of a pair were answered.
  void pair_completed(Access& access, nvme::Status first, nvme::Status second);
  /// The connection ended before the answer.
  void lost(Access& access);

  /// What `access` writes, at its block `index`.
  static Value written(const Access& access, uint64_t index);
  /// Fills `data` with what `access` writes. Requires: as many bytes as its blocks have.
  void fill(const Access& access, std::span<std::byte> data) const;
  void fill(std::span<const Value> values, std::span<std::byte> data) const;
  /// What the blocks most likely hold, for compares that should succeed now and then.
  std::vector<Value> likely(Blocks range) const;

  /// The first block from `lba` on that was ever named by a command; absent: none.
  std::optional<uint64_t> next_touched(uint64_t lba) const;

  // --- what happens to hosts, targets and devices ------------------------------------------------------------------------
  /// `host` has a new association: what it lost can no longer come over what is written from now on.
  void associated(uint32_t host);
  /// The machine lost power. Everything outstanding is dead.
  void power_cut();
  /// The namespace's device was shut down in order: what was answered lasts.
  void shut_down() { flushed_ = ++tick_; }
  /// The target's process died.
  void process_crashed();
  /// The namespace is another, empty one from now on, or all its contents are gone.
  void lose_all();
  /// The size changes at some time between these two. What is beyond the end is there again when the namespace has grown.
  void start_resize(uint64_t block_count);
  void finish_resize();
  /// For a command that is wrong, and so is none that the volume is told of: it begins …
  void mark(Access& access) { access.began = ++tick_; }
  /// … and whether a fault explains its status, which then need not be the one that is due.
  bool explains(const Access& access, nvme::Status status) const;
  /// See ExplainedErrors.
  void expect(ErrorKind kind) { errors_.expect(kind); }
  void expect_no_more(ErrorKind kind) { errors_.expect_no_more(kind, ++tick_); }

 private:
  static constexpr size_t kChunkBlocks = 32;
  using Chunk = std::array<BlockHistory, kChunkBlocks>;
  struct Size {
    uint64_t block_count;
    Tick until = kNever;
  };

  BlockHistory& block(uint64_t lba);
  const BlockHistory* known_block(uint64_t lba) const;
  Horizon horizon() const;
  template <typename F>
  void for_each_written(const Access& access, F&& f);
  template <typename F>
  void for_each_read(const Access& access, F&& f);

  void succeeded(Access& access, std::span<const std::byte> data);
  void failed(Access& access, nvme::Status status);
  void check_read(const Access& access, std::span<const std::byte> data);
  void check_difference(const Access& access);
  void wrote(const Access& access);
  void apply(const Access& access, Effect effect);
  bool is_over(Access& access);
  bool may_be_in_range(const Access& access) const;
  bool may_be_out_of_range(const Access& access) const;
  void fence(BlockHistory& history, const Access& access);
  void report(const Access& access, uint64_t lba, const std::optional<Complaint>& complaint);
  void report(const Access& access, std::string_view checker, std::string_view what);

  VolumeTraits traits_;
  Referee& referee_;
  ExplainedErrors errors_;
  Tick tick_ = 0;
  uint64_t epoch_ = 0;             // power cuts and losses of everything
  Tick flushed_ = 0;               // the newest begin of a flush that succeeded
  std::set<Tick> reading_;         // the begins of what reads blocks and is not over
  std::map<uint32_t, Tick> associated_;  // by host
  std::vector<Size> sizes_;        // the last one is the newest
  std::vector<std::unique_ptr<Chunk>> chunks_;
};

}  // namespace weft::sim
