// The engine of `weft perf`: keeps a number of reads and writes outstanding on every I/O queue of a controller (or of what stands for one), measures them, and checks
// what it reads; after a verified run it reads back, unmeasured, every chunk that was written. One reactor; after start, nothing is allocated. Every queue has a part of the range for itself, so that verified writes
// do not race. Owned by who runs it.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "core/reactor.h"
#include "host/controller.h"
#include "host/histogram.h"

namespace weft::host {

enum class Pattern : uint8_t { kRandRead, kRandWrite, kRandRw, kRead, kWrite };
enum class Verify : uint8_t { kNo, kYes };

/// The namespace as the workload needs it.
struct Extent {
  uint32_t nsid = 1;
  uint32_t lba_bytes = 512;
  uint64_t lbas = 0;
};

struct WorkloadOptions {
  Pattern pattern = Pattern::kRandRead;
  unsigned read_percent = 70;        // of kRandRw
  uint32_t io_bytes = 4096;          // a multiple of the LBA size
  uint16_t queue_depth = 32;         // per queue
  Duration time = seconds(5);        // no new I/O after that; zero: io_count alone ends the run
  uint64_t io_count = 0;             // of all queues together; 0: time alone ends the run
  uint64_t offset_bytes = 0;         // the range starts here…
  uint64_t size_bytes = 0;           // … and is so long; 0: to the end of the namespace
  Verify verify = Verify::kNo;
  Duration io_timeout = seconds(30);  // an I/O without completion for so long ends the run
  uint64_t seed = 1;
};

/// What a workload's I/O goes through: the I/O queues of a controller, or what stands for them. All of it outlives the workload.
struct WorkloadPath {
  WorkloadPath(Controller& controller);
  WorkloadPath(MemoryLender& memory, uint64_t bytes_max, uint32_t entries, std::function<const Error*()> why_failed)
      : lender(memory), transfer_max(bytes_max), queue_entries(entries), failure(std::move(why_failed)) {}

  std::vector<Queue*> queues;
  MemoryLender& lender;    // of memory for data
  uint64_t transfer_max;   // bytes of one I/O
  uint32_t queue_entries;  // I/Os outstanding in one queue
  std::function<const Error*()> failure;  // why the queues take no more; null while they do
};

/// What one direction, or both together, have done.
struct Tally {
  uint64_t ios = 0;  // completed with success
  uint64_t bytes = 0;
  Histogram latency_ns;
  void merge(const Tally& other);
};

struct WorkloadReport {
  Tally reads;
  Tally writes;
  uint64_t io_errors = 0;
  uint64_t verify_errors = 0;
  uint64_t blocks_verified = 0;      // read blocks that carried a stamp
  std::string first_error;           // of either kind, in words
  Duration elapsed{};
};

/// What a progress line shows; counted since the start.
struct Progress {
  uint64_t ios = 0;
  uint64_t bytes = 0;
  uint64_t errors = 0;
};

class Workload {
 public:
  /// Bytes of one ledger entry per chunk bound the range of a verified run.
  static constexpr uint64_t kVerifiedChunksMax = uint64_t{1} << 23;

  /// Errors: kInvalid with the option that does not fit the namespace or the path. Outlives: the reactor.
  static Result<std::unique_ptr<Workload>> create(Reactor& reactor, WorkloadPath path, const Extent& extent, const WorkloadOptions& options);
  ~Workload();

  /// `co_await workload.run()`: starts all I/O and goes on when the last has ended. Once.
  Task<WorkloadReport> run();
  /// No new I/O; what is outstanding is waited for. From the reactor's thread, at any time.
  void stop() { is_stopping_ = true; }
  Progress progress() const;

 private:
  class Lane;
  class Slot;
  class Finished;

  Workload(Reactor& reactor, WorkloadPath path, const Extent& extent, const WorkloadOptions& options);
  bool may_submit();
  void note_error(const std::string& what);
  void slot_ended();
  void on_watchdog();

  Reactor& reactor_;
  WorkloadPath path_;
  Extent extent_;
  WorkloadOptions options_;
  uint64_t run_id_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  uint64_t submitted_ = 0;
  uint64_t outstanding_ = 0;
  uint64_t io_errors_ = 0;
  uint64_t verify_errors_ = 0;
  uint64_t blocks_verified_ = 0;
  std::string first_error_;
  Instant started_{};
  Instant last_measured_{};  // completion
  Instant deadline_ = Instant::never();
  bool is_stopping_ = false;
  std::unique_ptr<Finished> finished_;
  Timer watchdog_ = Timer::calling<&Workload::on_watchdog>(this);
};

}  // namespace weft::host
