// Executes I/O commands on the channels of their namespaces: one Io for Read, Write, Flush and Write Zeroes, several for Copy,
// Dataset Management and a flush of all namespaces. Compare, Verify and Copy are the device's where it has them, else reads, writes and memcmp() here. Stateless: where a command is stands in the command. NVM Command Set 1.0 §3.
#pragma once
#include "nvmf/queue.h"

namespace weft::nvmf {


class IoRunner {
 public:
  /// Requires: the command was admitted and its data from the host, if any, is in command.data.
  static void start(Queue& queue, Command& command);
  /// The same for a Read. Requires: also, command.data is empty and the command names a namespace.
  static void start_read(Queue& queue, Command& command);
  /// Writes `data` and completes the command. False, and nothing has happened: the medium cannot do that at once, or not now.
  static bool store(Queue& queue, Command& command, std::span<const std::byte> data);
  /// What a namespace that cannot be used now answers. Success: it can be used. To be asked again when a command has waited.
  static nvme::Status availability(const Namespace& ns, const nvme::Sqe& sqe) {
    return ns.is_sound() ? nvme::status::kSuccess : refusal(ns, sqe);
  }
  /// The scratch buffer that the command waited for is there.
  static void scratch_ready(Command& command);
  /// A command that a freeze had parked may go on.
  static void resume(Command& command);
  /// Runs a half of a fused pair whose range is frozen for it. Requires: counted in its view by enter_exclusive(), state kExecuting.
  static void run(Command& command);

 private:
  static nvme::Status refusal(const Namespace& ns, const nvme::Sqe& sqe);
  static void begin(Queue& queue, Command& command);
  static void io_done(bdev::Io& io, nvme::Status status);
  static void submit(Command& command, bdev::Op op, uint64_t block, uint64_t block_count, std::span<std::byte> data);
  static void want_scratch(Command& command, uint64_t bytes);
  static void read(Command& command);
  static void compare(Command& command);
  /// A device has ended one step of a command that has several. When its connection is gone, that was the last: the host may be writing by another.
  static void next_step(Command& command);
  static void verify_next(Command& command);
  static void copy_start(Command& command);
  static void copy_next(Command& command);
  static void copy_done(Command& command);
  static void deallocate_start(Command& command);
  static void deallocate_next(Command& command);
  static void flush_next(Command& command);
  static void succeed(Command& command);
};

}  // namespace weft::nvmf
