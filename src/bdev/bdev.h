// A block device: Bdev is its control side (what it is, open a channel), Channel its data side, one per reactor. Kinds live in a folder each;
// filters stack one Bdev on another.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "bdev/identity.h"
#include "bdev/io.h"
#include "wire/nvme/log_pages.h"

namespace weft {
class Reactor;
}

namespace weft::bdev {

/// Writes that are whole: against the reads and writes of others (AWUN), and after a power cut (AWUPF). NVM Command Set 1.0 §2.1.4. The default is what
/// every device gives. A device says no more than what holds for the Ios that it is given: nothing that it does with a write may tear it.
struct Atomicity {
  uint32_t blocks = 1;               // of one write, at most
  uint32_t power_fail_blocks = 1;    // likewise; not more than `blocks`
  uint32_t boundary_blocks = 0;      // a write that crosses a multiple of these, counted from boundary_offset, is not whole; 0: there is no boundary
  uint32_t power_fail_boundary_blocks = 0;
  uint32_t boundary_offset = 0;
  bool operator==(const Atomicity&) const = default;
};

struct Info {
  std::string name;            // as configured: "ram:1GiB", "file:/srv/a", for messages
  std::string medium_id;       // the medium's own lasting identity (file: device and inode or a stored id; disk: serial or WWN); empty: none, new at each start
  Identity identity;           // what hosts shall know it by, if it has names of its own
  uint64_t block_count = 0;
  uint32_t block_size = 512;   // bytes, 512 or 4096
  uint32_t preferred_blocks = 8;  // NPWG, NPWA: writes of this many aligned blocks are cheapest
  uint32_t boundary_blocks = 0;   // NOIOB: I/O that crosses no multiple of these is fastest; 0: there is no boundary
  Atomicity atomicity;
  bool has_volatile_cache = false;      // writes need kFlush or Durability::kStable to last
  bool can_deallocate = false;          // kDeallocate gives space back
  bool deallocated_reads_zero = false;  // and the blocks read as zeroes after it
  bool is_read_only = false;
  bool has_logs = false;                // read_log() tells what the medium says of its health and its errors
};

/// The data side. Belongs to one reactor; every call is made there. Dies before its Bdev. When it is destroyed, nothing is submitted.
class Channel {
 public:
  virtual ~Channel() = default;
  /// Starts `io`; on_done is called when it has ended. Never fails by itself: errors are statuses. The device sees a batch at the latest when
  /// the reactor flushes its pollers (the channel registers itself as one where it needs to).
  /// Requires: takes(io.op), bounds checked, data.size() == block_count * block_size for reads, writes and compares.
  virtual void submit(Io& io) = 0;
  /// Whether the device does `op` by itself, as far as is known now: to be asked right before submit(). Filters leave it at this, so that all that is
  /// done comes by them as reads and writes.
  virtual bool takes(Op op) const { return op < Op::kCompare; }
  /// Memory that holds the blocks now and may be read until the channel is destroyed, without a submit; empty where the device cannot lend.
  /// The blocks may change while the caller reads them (a block is 512 or 4096 bytes): see docs/adr/0005-lent-reads.md.
  virtual std::span<const std::byte> lend(uint64_t block, uint64_t block_count) {
    (void)block, (void)block_count;
    return {};
  }
  /// Writes the blocks now, without a submit. False, and nothing has happened, where that cannot be: then the write is to be submitted.
  /// Requires: bounds checked, data.size() is a number of blocks.
  virtual bool store(uint64_t block, std::span<const std::byte> data) {
    (void)block, (void)data;
    return false;
  }
};

using LogDone = std::move_only_function<void(Result<std::vector<std::byte>>)>;

/// The control side. Thread-safe for info(); the rest is called from one thread at a time.
class Bdev {
 public:
  virtual ~Bdev() = default;
  /// Does not change while channels are open.
  virtual const Info& info() const = 0;
  /// How many blocks the medium has room for now, which may be more than info() says: every channel takes Ios for all of them. Who uses more
  /// or fewer of them finds in those that he did not use before what was in them last. Does not wait for Ios. Errors: the medium's.
  virtual Result<uint64_t> blocks_available() { return info().block_count; }
  /// `on_change` is called, on the reactor that makes the other calls, whenever blocks_available() may have changed by itself: the medium has grown or
  /// shrunk, has gone or is back. A medium that never does has nothing to tell. Empty: nobody is told any more.
  virtual void watch(std::move_only_function<void()> on_change) { (void)on_change; }
  /// What the medium itself has in a log page (kSmart: a SmartLog; kError: ErrorLogEntries that concern it, the newest first). `done` is called once, on the
  /// reactor that makes the other calls, maybe at once, in time that the medium bounds; also when the device was destroyed before. Requires: has_logs.
  virtual void read_log(nvme::LogPage page, LogDone done) { (void)page, (void)done; }
  /// A channel for `reactor`, on which the caller runs. Errors: what the device says.
  virtual Result<std::unique_ptr<Channel>> open_channel(Reactor& reactor) = 0;
};

}  // namespace weft::bdev
