// A namespace as the whole target knows it: identity, medium, counters, and the freezer that gives one command exclusive use of a range.
// Owned by its Subsystem; immutable but for what is said to belong to the home reactor. Each shard has its own NamespaceView of it.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "bdev/bdev.h"
#include "core/metrics.h"
#include "nvmf/freezer.h"

namespace weft::nvmf {

struct NamespaceIdentity {
  std::array<std::byte, 16> uuid{};   // RFC 4122 byte order
  std::array<std::byte, 16> nguid{};  // big-endian byte string
  std::array<std::byte, 8> eui64{};
};

/// Counters of one namespace on one shard: written by that shard only, read by anyone.
struct alignas(64) NamespaceCounters {
  Counter reads, writes;              // commands completed with success
  Counter read_bytes, written_bytes;  // of data moved to and from the host
  Counter media_errors;
};

class Namespace {
 public:
  Namespace(uint32_t nsid, NamespaceIdentity identity, std::unique_ptr<bdev::Bdev> bdev, Freezer::Shards shards)
      : nsid_(nsid),
        identity_(identity),
        bdev_(std::move(bdev)),
        info_(bdev_->info()),
        device_blocks_(info_.block_count),
        counters_(shards.size()),
        freezer_(std::move(shards), nsid) {}

  uint32_t nsid() const { return nsid_; }
  const NamespaceIdentity& identity() const { return identity_; }
  /// As of now; on the home reactor, or while it comes. Each view has its own.
  const bdev::Info& info() const { return info_; }
  bdev::Bdev& bdev() { return *bdev_; }
  NamespaceCounters& counters(size_t shard) { return counters_[shard]; }
  const std::vector<NamespaceCounters>& all_counters() const { return counters_; }

  // --- on the home reactor only ---------------------------------------------------------------------------------------------------------
  enum class Stage : uint8_t {
    kComing,
    kThere,
    kAway,  // its device is: hosts do not see it, until the device is back
    kLeaving,
  };
  Stage stage() const { return stage_; }
  bool is_leaving() const { return stage_ == Stage::kLeaving; }
  void enter(Stage stage) { stage_ = stage; }
  void set_block_count(uint64_t block_count) { info_.block_count = block_count; }
  /// Its device has so many blocks now. Returns how many the namespace is to have: all, if it had all before; else as many as it has, if they are still there.
  uint64_t follow_device(uint64_t device_blocks) {
    const bool had_all = info_.block_count == std::exchange(device_blocks_, device_blocks);
    return had_all ? device_blocks : std::min(info_.block_count, device_blocks);
  }
  Freezer& freezer() { return freezer_; }

  // --- on any reactor -------------------------------------------------------------------------------------------------------------------

  // Set when a flush has failed: what was acknowledged may be lost, so the namespace answers nothing until an administrator clears it.
  void fail() { troubles_.fetch_or(kFailed, std::memory_order_relaxed); }
  void clear_failure() { troubles_.fetch_and(~kFailed, std::memory_order_relaxed); }
  bool is_failed() const { return (troubles_.load(std::memory_order_relaxed) & kFailed) != 0; }
  // Writes that timed out and are still in the device: while there are any, new writes are refused (a late one must not overwrite a newer one).
  void add_late_write() { troubles_.fetch_add(1, std::memory_order_relaxed); }
  void remove_late_write() { troubles_.fetch_sub(1, std::memory_order_relaxed); }
  bool has_late_writes() const { return (troubles_.load(std::memory_order_relaxed) & ~kFailed) != 0; }
  /// Neither has failed nor has late writes.
  bool is_sound() const { return troubles_.load(std::memory_order_relaxed) == 0; }

 private:
  uint32_t nsid_;
  NamespaceIdentity identity_;
  std::unique_ptr<bdev::Bdev> bdev_;
  bdev::Info info_;  // the device's, with the namespace's own size
  uint64_t device_blocks_;  // when it was last asked
  Stage stage_ = Stage::kComing;
  std::vector<NamespaceCounters> counters_;  // by shard
  Freezer freezer_;
  static constexpr uint64_t kFailed = uint64_t{1} << 63;
  std::atomic<uint64_t> troubles_{0};  // kFailed, and how many late writes there are
};

}  // namespace weft::nvmf
