#include "nvmf/io_runner.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/simulation.h"
#include "nvmf/admission.h"
#include "nvmf/fused.h"
#include "nvmf/shard.h"

namespace weft::nvmf {
namespace {

namespace status = nvme::status;
using nvme::IoOpcode;

constexpr uint64_t kPieceBytes = 128 << 10;  // what Verify and Copy read at a time where the device does not have them

IoOpcode opcode_of(const Command& command) { return IoOpcode(command.sqe.opcode); }

uint64_t piece_blocks(const bdev::Info& info) { return kPieceBytes / info.block_size; }

std::span<const nvme::CopyRange> copy_ranges(const Command& command) {
  return {reinterpret_cast<const nvme::CopyRange*>(command.data.data()), (command.sqe.cdw12 & 0xff) + 1};
}

uint64_t blocks_of(std::span<const nvme::CopyRange> ranges) {
  uint64_t total = 0;
  for (const nvme::CopyRange& range : ranges) total += uint64_t{range.nlb} + 1;
  return total;
}

std::span<const nvme::DsmRange> dsm_ranges(const Command& command) {
  return {reinterpret_cast<const nvme::DsmRange*>(command.data.data()), (command.sqe.cdw10 & 0xff) + 1};
}

bool is_in_range(uint64_t first, uint64_t count, const bdev::Info& info) {
  return first <= info.block_count && count <= info.block_count - first;
}
bool is_in_range(const BlockRange& range, const bdev::Info& info) { return is_in_range(range.first, range.count, info); }

/// In time or late: the next flush would succeed without having written what this one did not. A stable write has a flush in it.
void flush_failed(NamespaceView& view) {
  WEFT_PROBE("nvmf/flush-failed");
  view.ns().fail();
  view.shard().reactor().log().error("{}: a flush failed: namespace {} answers nothing until it is cleared, because writes that were "
                                     "acknowledged may be lost", view.info().name, view.ns().nsid());
}

}  // namespace

nvme::Status IoRunner::refusal(const Namespace& ns, const nvme::Sqe& sqe) {
  // A flush has failed: what was acknowledged may be lost. Only an administrator can say that this is over, so the host must not retry.
  if (ns.is_failed()) return status::kInternalError.with_dnr();
  // A late write may still reach the medium: nothing newer may be written before it. Another path may serve it.
  if (ns.has_late_writes() && is_write(sqe)) {
    WEFT_PROBE("nvmf/late-write-refuses");
    return status::kInternalPathError;
  }
  return status::kSuccess;
}

void IoRunner::succeed(Command& command) {
  NamespaceCounters& counters = command.view->counters();
  if (opcode_of(command) == IoOpcode::kRead) {
    counters.reads.add(1);
    counters.read_bytes.add(command.transfer_length);
  } else if (opcode_of(command) == IoOpcode::kWrite) {
    counters.writes.add(1);
    counters.written_bytes.add(command.transfer_length);
  }
  if (command.sqe.fuse() == nvme::Fuse::kFirst) return fused_compare_equal(command);
  command.queue->complete(command, status::kSuccess);
}

void IoRunner::start_read(Queue& queue, Command& command) {
  NamespaceView& view = *command.target_view;
  if (const nvme::Status available = availability(view.ns(), command.sqe); !available.ok()) return queue.complete(command, available);
  if (command.transfer_length <= queue.lent_max()) command.response_data = view.channel().lend(command.sqe.slba(), command.sqe.block_count());
  if (command.response_data.empty()) {
    command.share = Share::kRead;
    return queue.want_buffer(command);  // goes on at start() with command.data
  }
  if (view.is_frozen()) return begin(queue, command);
  // The medium has nothing to do, so nobody has to wait for it: the command is not counted in its view.
  view.counters().reads.add(1);
  view.counters().read_bytes.add(command.transfer_length);
  queue.succeed_at_once(command);
}

bool IoRunner::store(Queue& queue, Command& command, std::span<const std::byte> data) {
  NamespaceView& view = *command.target_view;
  if (!view.ns().is_sound() || view.is_frozen() || !view.channel().store(command.sqe.slba(), data)) return false;
  view.counters().writes.add(1);
  view.counters().written_bytes.add(data.size());
  queue.succeed_at_once(command);
  return true;
}

void IoRunner::start(Queue& queue, Command& command) {
  command.step = command.step_offset = 0;
  if (command.target_view == nullptr) {  // Flush of all namespaces
    queue.enter(command, CommandState::kExecuting);
    return flush_next(command);
  }
  NamespaceView& view = *command.target_view;
  if (const nvme::Status available = availability(view.ns(), command.sqe); !available.ok()) {
    return queue.complete(command, available);
  }
  if (command.sqe.fuse() != nvme::Fuse::kNone) return fused_half_ready(queue, command);
  if (opcode_of(command) == IoOpcode::kRead && command.data.empty()) return start_read(queue, command);
  begin(queue, command);
}

/// Hands the command to the medium, unless its range is frozen.
void IoRunner::begin(Queue& queue, Command& command) {
  if (!command.target_view->enter(command, range_of(command.sqe, command.target_view->info()))) return queue.enter(command, CommandState::kFrozen);
  queue.enter(command, CommandState::kExecuting);
  run(command);
}

void IoRunner::resume(Command& command) {
  if (command.queue->state() == QueueState::kStopping) return command.queue->drop(command);  // nothing parked is begun any more
  // What it has waited for may be a pair that timed out: then a late write of the same blocks is under way.
  if (const nvme::Status available = availability(command.target_view->ns(), command.sqe); !available.ok()) {
    return command.queue->complete(command, available);
  }
  if (command.target_view->enter(command, range_of(command.sqe, command.target_view->info()))) {
    command.queue->enter(command, CommandState::kExecuting);
    run(command);
  }
}

void IoRunner::run(Command& command) {
  const uint64_t slba = command.sqe.slba();
  const uint32_t count = command.sqe.block_count();
  // Admitted by the size of then; the namespace may have shrunk while the command waited.
  if (!is_in_range(range_of(command.sqe, command.view->info()), command.view->info())) {
    WEFT_PROBE("nvmf/shrunk-while-waiting");
    return command.queue->complete(command, status::kLbaOutOfRange.with_dnr());
  }
  switch (opcode_of(command)) {
    case IoOpcode::kRead: return read(command);
    case IoOpcode::kWrite: return submit(command, bdev::Op::kWrite, slba, count, command.data);
    case IoOpcode::kFlush:
      if (WEFT_PLANTED("flush-not-done")) return succeed(command);
      return submit(command, bdev::Op::kFlush, 0, 0, {});
    case IoOpcode::kWriteZeroes:
      command.io.zeroing = (command.sqe.cdw12 & nvme::kCdw12Deallocate) != 0 ? bdev::Zeroing::kMayDeallocate
                                                                            : bdev::Zeroing::kKeepAllocated;
      return submit(command, bdev::Op::kWriteZeroes, slba, count, {});
    case IoOpcode::kCompare: return compare(command);
    case IoOpcode::kVerify: return verify_next(command);
    case IoOpcode::kDatasetManagement: return deallocate_start(command);
    case IoOpcode::kCopy: return copy_start(command);
  }
  WEFT_ASSERT(!"an admitted command has a known opcode");
}

void IoRunner::submit(Command& command, bdev::Op op, uint64_t block, uint64_t block_count, std::span<std::byte> data) {
  NamespaceView& view = *command.view;
  const bool is_stable = (command.sqe.cdw12 & nvme::kCdw12Fua) != 0 || !command.queue->settings().is_write_cache_enabled;
  bdev::Io& io = command.io;
  io.op = op;
  io.durability = is_stable && !WEFT_PLANTED("fua-ignored") ? bdev::Durability::kStable : bdev::Durability::kCached;
  io.block = block;
  io.block_count = block_count;
  io.data = data;
  io.has_sync_failed = false;
  io.on_done = &IoRunner::io_done;
  io.context = &command;
  command.started = command.queue->shard().reactor().now();
  WEFT_ASSERT(block + block_count <= view.block_count_max());
  view.channel().submit(io);
}

void IoRunner::io_done(bdev::Io& io, nvme::Status io_status) {
  Command& command = *static_cast<Command*>(io.context);
  if (!io_status.ok() && !io_status.is(status::kCompareFailure)) {
    command.view->counters().media_errors.add(1);
    if (io.op == bdev::Op::kFlush || io.has_sync_failed) flush_failed(*command.view);
  }
  if (command.state != CommandState::kExecuting) return Queue::late_io_done(command);  // it has been answered: see Queue::time_out()
  command.started = {};
  Queue& queue = *command.queue;
  if (!io_status.ok()) {
    return queue.complete(command, io_status, opcode_of(command) == IoOpcode::kCopy ? command.step : 0);
  }
  switch (opcode_of(command)) {
    case IoOpcode::kRead:
      command.response_data = command.data;
      return succeed(command);
    case IoOpcode::kWrite:
    case IoOpcode::kWriteZeroes: return succeed(command);
    case IoOpcode::kFlush: return command.target_view != nullptr ? succeed(command) : next_step(command);
    case IoOpcode::kCompare: {
      if (io.op == bdev::Op::kCompare) return succeed(command);
      const size_t size = WEFT_PLANTED("compare-too-little") ? 8 : command.data.size();
      const bool is_equal = std::memcmp(command.data.data(), command.scratch.data(), size) == 0;
      return is_equal ? succeed(command) : queue.complete(command, status::kCompareFailure.with_dnr());
    }
    case IoOpcode::kVerify:
    case IoOpcode::kDatasetManagement:
    case IoOpcode::kCopy: return next_step(command);
  }
}

void IoRunner::next_step(Command& command) {
  if (command.queue->state() == QueueState::kDetached) return command.queue->complete(command, status::kAbortedSqDeleted);
  if (command.target_view != nullptr) {  // while a step was done, another command's write may have become late
    const nvme::Status available = availability(command.target_view->ns(), command.sqe);
    if (!available.ok()) return command.queue->complete(command, available);
  }
  switch (opcode_of(command)) {
    case IoOpcode::kFlush: return flush_next(command);
    case IoOpcode::kVerify: return verify_next(command);
    case IoOpcode::kDatasetManagement: return deallocate_next(command);
    case IoOpcode::kCopy: return copy_done(command);
    case IoOpcode::kRead:
    case IoOpcode::kWrite:
    case IoOpcode::kWriteZeroes:
    case IoOpcode::kCompare: break;
  }
  WEFT_ASSERT(!"a command of several steps");
}

void IoRunner::read(Command& command) {
  if (command.data.empty()) return succeed(command);  // lent
  submit(command, bdev::Op::kRead, command.sqe.slba(), command.sqe.block_count(), command.data);
}

void IoRunner::want_scratch(Command& command, uint64_t bytes) {
  BufferPool& pool = command.queue->shard().buffers();
  BufferAccount& account = command.queue->account();
  command.scratch = pool.try_allocate(account, Share::kScratch, bytes);
  if (!command.scratch.empty()) return scratch_ready(command);
  WEFT_PROBE("nvmf/command-waits-for-scratch");
  command.awaits_scratch = true;
  command.queue->enter(command, CommandState::kWaitBuffer);
  pool.wait(account, Share::kScratch, bytes, command);
}

void IoRunner::scratch_ready(Command& command) {
  switch (opcode_of(command)) {
    case IoOpcode::kCompare:
      return submit(command, bdev::Op::kRead, command.sqe.slba(), command.sqe.block_count(), command.scratch);
    case IoOpcode::kVerify: return verify_next(command);
    case IoOpcode::kCopy: return copy_next(command);
    case IoOpcode::kFlush:
    case IoOpcode::kWrite:
    case IoOpcode::kRead:
    case IoOpcode::kWriteZeroes:
    case IoOpcode::kDatasetManagement: WEFT_ASSERT(!"this command uses no scratch");
  }
}

void IoRunner::compare(Command& command) {
  bdev::Channel& channel = command.view->channel();
  if (channel.takes(bdev::Op::kCompare)) return submit(command, bdev::Op::kCompare, command.sqe.slba(), command.sqe.block_count(), command.data);
  const auto lent = channel.lend(command.sqe.slba(), command.sqe.block_count());
  if (lent.empty()) return want_scratch(command, command.data.size());
  const bool is_equal = std::memcmp(command.data.data(), lent.data(), lent.size()) == 0;
  return is_equal ? succeed(command) : command.queue->complete(command, status::kCompareFailure.with_dnr());
}

void IoRunner::verify_next(Command& command) {
  const bdev::Info& info = command.view->info();
  const uint64_t total = command.sqe.block_count();
  if (command.step_offset == total) return succeed(command);
  const uint64_t first = command.sqe.slba() + command.step_offset;
  bdev::Channel& channel = command.view->channel();
  if (channel.takes(bdev::Op::kVerify)) {
    const uint64_t rest = total - std::exchange(command.step_offset, total);
    return submit(command, bdev::Op::kVerify, first, rest, {});
  }
  const uint64_t count = std::min(total - command.step_offset, piece_blocks(info));
  if (!channel.lend(first, count).empty()) {  // memory that can be lent can be read
    command.step_offset = total;
    return succeed(command);
  }
  if (command.scratch.empty()) return want_scratch(command, count * info.block_size);
  command.step_offset += count;
  submit(command, bdev::Op::kRead, first, count, command.scratch.first(count * info.block_size));
}

void IoRunner::deallocate_start(Command& command) {
  const bdev::Info& info = command.view->info();
  for (const nvme::DsmRange& range : dsm_ranges(command)) {
    if (!is_in_range(range.slba, range.length_blocks, info)) {
      return command.queue->complete(command, status::kLbaOutOfRange.with_dnr());
    }
  }
  // The other attributes are hints. NVM Command Set 1.0 §3.2.3.
  const bool acts = (command.sqe.cdw11 & nvme::kDsmDeallocate) != 0 && info.can_deallocate;
  if (!acts) command.step = dsm_ranges(command).size();
  deallocate_next(command);
}

void IoRunner::deallocate_next(Command& command) {
  const auto ranges = dsm_ranges(command);
  while (command.step < ranges.size() && ranges[command.step].length_blocks == 0) ++command.step;
  if (command.step == ranges.size()) return succeed(command);
  const nvme::DsmRange& range = ranges[command.step++];
  submit(command, bdev::Op::kDeallocate, range.slba, range.length_blocks, {});
}

void IoRunner::copy_start(Command& command) {
  const bdev::Info& info = command.view->info();
  for (const nvme::CopyRange& range : copy_ranges(command)) {
    if (!is_in_range(range.slba, uint64_t{range.nlb} + 1, info)) return command.queue->complete(command, status::kLbaOutOfRange.with_dnr());
  }
  const uint64_t total = blocks_of(copy_ranges(command));
  if (total > command.queue->shard().limits().copy_blocks) {
    return command.queue->complete(command, status::kCommandSizeLimitExceeded.with_dnr());
  }
  if (!is_in_range(command.sqe.slba(), total, info)) return command.queue->complete(command, status::kLbaOutOfRange.with_dnr());
  copy_next(command);
}

/// Copies the next source range, or reads the next piece of it, which copy_done() writes. `step` is the range, `step_offset` the blocks of it that are copied.
void IoRunner::copy_next(Command& command) {
  const auto ranges = copy_ranges(command);
  if (command.step == ranges.size()) return succeed(command);
  const nvme::CopyRange& range = ranges[command.step];
  const uint64_t left = uint64_t{range.nlb} + 1 - command.step_offset;
  const uint64_t source = range.slba + command.step_offset;
  const uint64_t target = command.sqe.slba() + blocks_of(ranges.first(command.step)) + command.step_offset;
  // What a device makes of blocks that it reads and writes at once is its own affair; here, pieces are copied from the first to the last.
  const bool overlaps = BlockRange{source, left}.overlaps({target, left});
  if (!overlaps && command.view->channel().takes(bdev::Op::kCopy)) {
    command.io.source = source;
    return submit(command, bdev::Op::kCopy, target, left, {});
  }
  const bdev::Info& info = command.view->info();
  if (command.scratch.empty()) return want_scratch(command, std::min(blocks_of(ranges), piece_blocks(info)) * info.block_size);
  const uint32_t block_size = info.block_size;
  const uint64_t count = std::min<uint64_t>(left, command.scratch.size() / block_size);
  submit(command, bdev::Op::kRead, source, count, command.scratch.first(count * block_size));
}

void IoRunner::copy_done(Command& command) {
  const auto ranges = copy_ranges(command);
  const uint64_t count = command.io.block_count;
  if (command.io.op == bdev::Op::kRead) {
    const uint64_t done = blocks_of(ranges.first(command.step)) + command.step_offset;
    return submit(command, bdev::Op::kWrite, command.sqe.slba() + done, count, command.io.data);
  }
  command.step_offset += count;
  if (command.step_offset == uint64_t{ranges[command.step].nlb} + 1) {
    ++command.step;
    command.step_offset = 0;
  }
  copy_next(command);
}

/// Flushes the namespaces one after the other; `step` is the NSID of the last one.
void IoRunner::flush_next(Command& command) {
  if (command.view != nullptr) command.view->leave(command);
  const auto& views = command.queue->subsystem()->by_nsid;
  const auto next = views.upper_bound(uint32_t(command.step));
  if (next == views.end()) return command.queue->complete(command, status::kSuccess);
  command.step = next->first;
  NamespaceView& view = *next->second;
  if (const nvme::Status available = availability(view.ns(), command.sqe); !available.ok()) {
    return command.queue->complete(command, available);
  }
  view.enter_exclusive(command);  // a flush touches no blocks: freezes do not concern it
  submit(command, bdev::Op::kFlush, 0, 0, {});
}

}  // namespace weft::nvmf
