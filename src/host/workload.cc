#include "host/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <coroutine>

#include "base/units.h"
#include "host/chunk_ledger.h"
#include "host/data_buffer.h"
#include "host/stamp.h"
#include "wire/print.h"
#include "wire/nvme/command.h"

namespace weft::host {

void Tally::merge(const Tally& other) {
  ios += other.ios;
  bytes += other.bytes;
  latency_ns.merge(other.latency_ns);
}

WorkloadPath::WorkloadPath(Controller& controller)
    : lender(controller.transport()),
      transfer_max(controller.transfer_max()),
      queue_entries(controller.queue_entries()),
      failure([&controller] { return controller.failure(); }) {
  for (size_t i = 0; i < controller.io_queue_count(); ++i) queues.push_back(&controller.io_queue(i));
}

/// Wakes run() from the mailbox, when no queue's code is on the stack.
class Workload::Finished final : public Message {
 public:
  explicit Finished(Workload& workload) : workload_(workload) {}
  bool await_ready() const noexcept { return workload_.outstanding_ == 0; }
  void await_suspend(std::coroutine_handle<> awaiting) noexcept { awaiting_ = awaiting; }
  void await_resume() const noexcept {}
  void deliver() override { awaiting_.resume(); }

 private:
  Workload& workload_;
  std::coroutine_handle<> awaiting_;
};

/// One outstanding I/O, again and again.
class Workload::Slot final : public Command {
 public:
  Slot(Lane& lane, MemoryLender& lender, size_t bytes) : lane_(lane), memory_(lender, bytes), buffer_(memory_.bytes()) { std::ranges::fill(buffer_, std::byte{0x57}); }
  void on_completed(const nvme::Cqe& cqe) override;

  Lane& lane_;
  DataBuffer memory_;
  std::span<std::byte> buffer_;
  uint64_t chunk_ = 0;
  uint64_t sequence_ = 0;  // of a verified write
  Instant submitted_{};
  bool is_outstanding_ = false;
  bool is_read() const { return sqe.opcode == uint8_t(nvme::IoOpcode::kRead); }
};

/// One I/O queue and its part of the range.
class Workload::Lane {
 public:
  Lane(Workload& workload, Queue& queue, uint64_t first_lba, uint64_t chunks, uint64_t seed)
      : workload_(workload),
        queue_(queue),
        first_lba_(first_lba),
        chunks_(chunks),
        prng_(seed),
        ledger_(workload.options_.verify == Verify::kYes ? chunks : 0) {
    for (uint16_t i = 0; i < workload.options_.queue_depth; ++i) slots_.push_back(std::make_unique<Slot>(*this, workload.path_.lender, workload.options_.io_bytes));
  }
  void start() {
    for (auto& slot : slots_) {
      ++workload_.outstanding_;
      go_on(*slot);
    }
  }
  void completed(Slot& slot, const nvme::Cqe& cqe);
  void close_if_late(Instant now);

  Tally reads_;
  Tally writes_;

 private:
  bool is_verified() const { return ledger_.size() > 0; }
  void go_on(Slot& slot);
  void rest();
  void read_back(Slot& slot);
  void submit(Slot& slot, nvme::IoOpcode opcode);
  void measure(const Slot& slot);
  bool draw_read();
  uint64_t draw_chunk();
  uint64_t lba_of(uint64_t chunk) const { return first_lba_ + chunk * blocks_per_chunk(); }
  uint32_t blocks_per_chunk() const { return workload_.options_.io_bytes / workload_.extent_.lba_bytes; }
  void stamp(Slot& slot);
  void check(const Slot& slot);
  std::string complaint(const StampReading& reading, const Stamp& due, bool is_due) const;

  Workload& workload_;
  Queue& queue_;
  uint64_t first_lba_;
  uint64_t chunks_;
  uint64_t cursor_ = 0;
  uint64_t sequence_ = 0;
  size_t resting_ = 0;            // slots that have ended the measured part
  bool is_reading_back_ = false;
  uint64_t read_back_next_ = 0;   // chunk
  Prng prng_;
  ChunkLedger ledger_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

void Workload::Slot::on_completed(const nvme::Cqe& cqe) { lane_.completed(*this, cqe); }

bool Workload::Lane::draw_read() {
  switch (workload_.options_.pattern) {
    case Pattern::kRead:
    case Pattern::kRandRead: return true;
    case Pattern::kWrite:
    case Pattern::kRandWrite: return false;
    case Pattern::kRandRw: return prng_.below(100) < workload_.options_.read_percent;
  }
  return true;
}

uint64_t Workload::Lane::draw_chunk() {
  const Pattern pattern = workload_.options_.pattern;
  const bool is_sequential = pattern == Pattern::kRead || pattern == Pattern::kWrite;
  uint64_t chunk = is_sequential ? cursor_ : prng_.below(chunks_);
  if (is_verified()) chunk = ledger_.acquire(chunk);
  if (is_sequential) cursor_ = chunk + 1 < chunks_ ? chunk + 1 : 0;
  return chunk;
}

void Workload::Lane::go_on(Slot& slot) {
  if (is_reading_back_) return read_back(slot);
  if (!queue_.has_room() || !workload_.may_submit()) return rest();
  const bool is_read = draw_read();
  slot.chunk_ = draw_chunk();
  if (!is_read && is_verified()) stamp(slot);
  submit(slot, is_read ? nvme::IoOpcode::kRead : nvme::IoOpcode::kWrite);
}

/// Every slot comes here once. The last one starts the reading back: before, a write may still be on its way.
void Workload::Lane::rest() {
  if (++resting_ < slots_.size()) return;
  is_reading_back_ = true;
  for (auto& each : slots_) read_back(*each);
}

void Workload::Lane::read_back(Slot& slot) {
  if (!is_verified()) return workload_.slot_ended();
  while (read_back_next_ < chunks_ && ledger_.sequence(read_back_next_) == 0) ++read_back_next_;
  if (read_back_next_ == chunks_ || !queue_.has_room() || workload_.is_stopping_) return workload_.slot_ended();
  slot.chunk_ = ledger_.acquire(read_back_next_++);
  submit(slot, nvme::IoOpcode::kRead);
}

void Workload::Lane::submit(Slot& slot, nvme::IoOpcode opcode) {
  const bool is_read = opcode == nvme::IoOpcode::kRead;
  const uint64_t lba = lba_of(slot.chunk_);
  slot.sqe = {};
  slot.sqe.opcode = uint8_t(opcode);
  slot.sqe.nsid = workload_.extent_.nsid;
  slot.sqe.cdw10 = uint32_t(lba);
  slot.sqe.cdw11 = uint32_t(lba >> 32);
  slot.sqe.cdw12 = blocks_per_chunk() - 1;
  slot.in = is_read ? slot.buffer_ : std::span<std::byte>{};
  slot.out = is_read ? std::span<const std::byte>{} : std::span<const std::byte>{slot.buffer_};
  slot.is_outstanding_ = true;
  slot.submitted_ = workload_.reactor_.clock().now();
  queue_.submit(slot);
}

void Workload::Lane::completed(Slot& slot, const nvme::Cqe& cqe) {
  slot.is_outstanding_ = false;
  if (cqe.decoded_status().ok()) {
    if (!is_reading_back_) measure(slot);
    if (slot.is_read() && is_verified()) check(slot);
  } else {
    ++workload_.io_errors_;
    workload_.note_error(fmt::format("{} of {} at LBA {}: {}", slot.is_read() ? "Read" : "Write", format_size(slot.buffer_.size()), lba_of(slot.chunk_),
                                     nvme::to_text(cqe.decoded_status())));
  }
  if (is_verified() && slot.is_read()) ledger_.release(slot.chunk_);
  if (is_verified() && !slot.is_read()) ledger_.release_written(slot.chunk_, cqe.decoded_status().ok() ? slot.sequence_ : 0);
  go_on(slot);
}

void Workload::Lane::measure(const Slot& slot) {
  const Instant now = workload_.reactor_.clock().now();
  workload_.last_measured_ = now;
  Tally& tally = slot.is_read() ? reads_ : writes_;
  ++tally.ios;
  tally.bytes += slot.buffer_.size();
  tally.latency_ns.add(uint64_t((now - slot.submitted_).ns));
}

void Workload::Lane::stamp(Slot& slot) {
  slot.sequence_ = ++sequence_;
  const uint32_t lba_bytes = workload_.extent_.lba_bytes;
  for (uint32_t i = 0; i < blocks_per_chunk(); ++i) {
    write_stamp(std::span{slot.buffer_}.subspan(size_t{i} * lba_bytes, lba_bytes),
                {.run = workload_.run_id_, .sequence = slot.sequence_, .lba = lba_of(slot.chunk_) + i});
  }
}

/// What was written in this run must come back as it was written last; what was not must at least be sound if it is stamped.
void Workload::Lane::check(const Slot& slot) {
  const uint32_t lba_bytes = workload_.extent_.lba_bytes;
  const uint64_t sequence = ledger_.sequence(slot.chunk_);
  for (uint32_t i = 0; i < blocks_per_chunk(); ++i) {
    const uint64_t lba = lba_of(slot.chunk_) + i;
    const StampReading reading = read_stamp(std::span<const std::byte>{slot.buffer_}.subspan(size_t{i} * lba_bytes, lba_bytes));
    const Stamp due{.run = workload_.run_id_, .sequence = sequence, .lba = lba};
    const bool is_right = sequence != 0 ? reading.check == StampCheck::kGood && reading.stamp == due
                                        : reading.check == StampCheck::kNone || (reading.check == StampCheck::kGood && reading.stamp.lba == lba);
    if (reading.check != StampCheck::kNone) ++workload_.blocks_verified_;
    if (is_right) continue;
    ++workload_.verify_errors_;
    workload_.note_error(complaint(reading, due, sequence != 0));
  }
}

std::string Workload::Lane::complaint(const StampReading& reading, const Stamp& due, bool is_due) const {
  const Stamp& got = reading.stamp;
  if (reading.check == StampCheck::kNone) return fmt::format("LBA {}: write {} of this run is lost, the block has no stamp", due.lba, due.sequence);
  if (reading.check == StampCheck::kCorrupt) return fmt::format("LBA {}: the block is corrupt, its CRC does not match", due.lba);
  if (got.lba != due.lba) return fmt::format("LBA {}: the block belongs to LBA {}", due.lba, got.lba);
  if (is_due && got.run != due.run) return fmt::format("LBA {}: write {} of this run is lost, another run's block is there", due.lba, due.sequence);
  return fmt::format("LBA {}: write {} is there where write {} is due", due.lba, got.sequence, due.sequence);
}

void Workload::Lane::close_if_late(Instant now) {
  const Duration limit = workload_.options_.io_timeout;
  for (const auto& slot : slots_) {
    if (!slot->is_outstanding_ || now - slot->submitted_ < limit) continue;
    return queue_.close(Error{Errc::kTimedOut, fmt::format("no answer to a {} within {} ms", slot->is_read() ? "Read" : "Write", limit.milliseconds())});
  }
}

Result<std::unique_ptr<Workload>> Workload::create(Reactor& reactor, WorkloadPath path, const Extent& extent, const WorkloadOptions& options) {
  const uint64_t queues = path.queues.size();
  const auto invalid = [](std::string_view text) { return fail(Errc::kInvalid, text); };
  if (queues == 0) return invalid("the controller granted no I/O queues");
  if (extent.lbas == 0) return invalid(fmt::format("namespace {} does not exist or is empty", extent.nsid));
  if (options.io_bytes == 0 || options.io_bytes % extent.lba_bytes != 0) {
    return invalid(fmt::format("--block-size {} is not a multiple of the namespace's block size {}", options.io_bytes, extent.lba_bytes));
  }
  if (options.io_bytes > path.transfer_max) {
    return invalid(fmt::format("--block-size {} is more than one command moves ({})", format_size(options.io_bytes), format_size(path.transfer_max)));
  }
  if (options.io_bytes / extent.lba_bytes > 65536) return invalid("--block-size is more than 65536 logical blocks");
  if (options.queue_depth == 0 || options.queue_depth > path.queue_entries) {
    return invalid(fmt::format("--queue-depth {} does not fit queues of {} entries", options.queue_depth, path.queue_entries));
  }
  if (options.time <= Duration{} && options.io_count == 0) return invalid("neither --time nor --io-count ends the run");
  const uint64_t capacity = extent.lbas * extent.lba_bytes;
  if (options.offset_bytes % extent.lba_bytes != 0) return invalid(fmt::format("--offset is not a multiple of the namespace's block size {}", extent.lba_bytes));
  if (options.offset_bytes > capacity || options.size_bytes > capacity - options.offset_bytes) return invalid("--offset and --size go beyond the end of the namespace");
  const uint64_t size = options.size_bytes != 0 ? options.size_bytes : capacity - options.offset_bytes;
  const uint64_t needed = queues * (options.verify == Verify::kYes ? options.queue_depth : 1);
  if (size / options.io_bytes < needed) {
    return invalid(fmt::format("a range of {} is too small for {} connections with --block-size {} and --queue-depth {}", format_size(size), queues,
                               format_size(options.io_bytes), options.queue_depth));
  }
  return std::unique_ptr<Workload>{new Workload(reactor, std::move(path), extent, options)};
}

Workload::Workload(Reactor& reactor, WorkloadPath path, const Extent& extent, const WorkloadOptions& options)
    : reactor_(reactor), path_(std::move(path)), extent_(extent), options_(options), finished_(std::make_unique<Finished>(*this)) {
  Prng prng{options.seed};
  run_id_ = prng.next();
  const uint64_t queues = path_.queues.size();
  const uint64_t size = options.size_bytes != 0 ? options.size_bytes : extent.lbas * extent.lba_bytes - options.offset_bytes;
  uint64_t chunks = size / options.io_bytes / queues;
  if (options.verify == Verify::kYes) chunks = std::min(chunks, kVerifiedChunksMax / queues);
  for (size_t i = 0; i < queues; ++i) {
    const uint64_t first = (options.offset_bytes + i * chunks * options.io_bytes) / extent.lba_bytes;
    lanes_.push_back(std::make_unique<Lane>(*this, *path_.queues[i], first, chunks, prng.next()));
  }
}

Workload::~Workload() { reactor_.disarm(watchdog_); }

Task<WorkloadReport> Workload::run() {
  started_ = last_measured_ = reactor_.clock().now();
  if (options_.time > Duration{}) deadline_ = started_ + options_.time;
  reactor_.arm(watchdog_, options_.io_timeout / 4);
  ++outstanding_;  // ours, so that the last slot to go idle is not one of the first
  for (auto& lane : lanes_) lane->start();
  --outstanding_;
  Finished& finished = *finished_;  // g++ 12 would copy what `*finished_` refers to
  co_await finished;
  reactor_.disarm(watchdog_);
  WorkloadReport report;
  report.elapsed = last_measured_ - started_;
  for (auto& lane : lanes_) {
    report.reads.merge(lane->reads_);
    report.writes.merge(lane->writes_);
  }
  report.io_errors = io_errors_;
  report.verify_errors = verify_errors_;
  report.blocks_verified = blocks_verified_;
  const Error* failure = path_.failure();
  report.first_error = failure != nullptr ? std::string{failure->what()} : first_error_;
  co_return std::move(report);
}

bool Workload::may_submit() {
  if (is_stopping_ || path_.failure() != nullptr) return false;
  if (options_.io_count != 0 && submitted_ >= options_.io_count) return false;
  if (deadline_ != Instant::never() && reactor_.clock().now() >= deadline_) return false;
  ++submitted_;
  return true;
}

void Workload::slot_ended() {
  WEFT_ASSERT(outstanding_ > 0);
  if (--outstanding_ == 0) reactor_.post(static_cast<Message&>(*finished_));
}

void Workload::note_error(const std::string& what) {
  if (first_error_.empty()) first_error_ = what;
}

void Workload::on_watchdog() {
  for (auto& lane : lanes_) lane->close_if_late(reactor_.clock().now());
  reactor_.arm(watchdog_, options_.io_timeout / 4);
}

Progress Workload::progress() const {
  Progress progress{.errors = io_errors_ + verify_errors_};
  for (const auto& lane : lanes_) {
    progress.ios += lane->reads_.ios + lane->writes_.ios;
    progress.bytes += lane->reads_.bytes + lane->writes_.bytes;
  }
  return progress;
}

}  // namespace weft::host
