// One reactor's way to a namespace of an NVMe device. An Io becomes commands on the reactor's queue pair (nvme_port.h), as many as the device's limits ask
// for, and is done when the last of them is; what is under way lies in Io::scratch. Where the queue has no room, or is not there for a while (it is being
// made, or the controller is reset), Ios wait in their order. Nothing allocates. While the device is away, or the namespace is not the one that it was,
// every Io ends at once with a path error.
//
// A command that was aborted, or that a reset has ended without an answer, may have been done or not; it is not done later. What changes nothing is begun
// anew as a whole, a few times. Anything else ends with a path error that may be retried: done twice, it might undo what others have written in between.
//
//   kRead, kWrite   Read, Write; FUA for a stable write where there is a cache. Data that the device cannot reach, or not at its address, goes through
//                   a bounce buffer, one piece after the other
//   kFlush          Flush; nothing where there is no volatile cache
//   kWriteZeroes    Write Zeroes, with DEAC where that may be and still reads as zeroes; writing zeroes where the device does not have it
//   kDeallocate     Write Zeroes with DEAC where that deallocates, since Dataset Management is only a hint; else Dataset Management; else nothing
//   kCompare        Compare, where the device has it, as of the next two; data as of a write
//   kVerify         Verify
//   kCopy           Copy, with one source range or, where those are small, several of the Io's
//
// How many blocks a command may be about is in command_limits.h.
#pragma once
#include <cstdint>

#include "bdev/bdev.h"
#include "bdev/nvme/command_limits.h"
#include "bdev/nvme/nvme_port.h"
#include "nvme/facts.h"

namespace weft::bdev {

class NvmeChannel final : public Channel {
 public:
  static constexpr uint8_t kTriesMax = 3;

  /// Outlives: the port outlives the channel, `bdev` is only compared with.
  NvmeChannel(NvmePort& port, const Bdev& bdev);
  ~NvmeChannel() override;

  void submit(Io& io) override;
  bool takes(Op op) const override;

  // --- for its port ------------------------------------------------------------------------------------------------------
  const Bdev* bdev() const { return &bdev_; }
  /// The namespace is there, and this is what it is.
  void serve(const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns);
  /// It is not there, or is another one.
  void refuse();
  // Of an Io that is submitted, from here on:
  static NvmeChannel& of(Io& io) { return *state_of(io).channel; }
  /// Begins commands until all are begun or it must wait for one of them (true), or for the queue or a buffer (false).
  static bool go_on(Io& io);
  /// Ends an Io that waits, with a path error: now, or with the last of its commands.
  static void give_up(Io& io);

 private:
  enum class Action : uint8_t { kTransfer, kFlush, kZero, kFillWithZeroes, kDeallocate, kVerify, kCopy, kNothing };
  static constexpr uint8_t kNoBounce = 0xff;

  struct State {
    NvmeChannel* channel;    // that it was submitted to
    Instant submitted;
    uint64_t begun = 0;      // blocks for which there is, or was, a command
    uint64_t iova = 0;       // of the Io's data; of no meaning with a bounce buffer
    uint32_t commands = 0;   // outstanding
    uint32_t bounced = 0;    // blocks of the command that uses the bounce buffer
    nvme::Status failure{};  // the first one
    Action action = Action::kNothing;
    uint8_t bounce = kNoBounce;
    uint8_t tries = 1;
    bool needs_bounce = false;
    bool must_try_again = false;
  };
  static_assert(sizeof(State) <= Io::kScratchSize && alignof(State) <= 16);

  static State& state_of(Io& io);
  /// How many blocks an Io stands for; a flush counts as one.
  static uint64_t blocks_of(const Io& io) { return io.op == Op::kFlush ? 1 : io.block_count; }
  Action action_of(Op op) const;
  uint64_t blocks_max(Action action) const;
  void prepare(Io& io, State& state);

  bool takes_ios() const { return is_served_ && port_.is_open(); }
  bool advance(Io& io, State& state);
  void begin_command(Io& io, State& state, uint64_t blocks);
  void build(nvme::QueuePair::Slot& slot, const Io& io, const State& state, uint64_t block, uint64_t blocks) const;
  size_t build_copy_ranges(nvme::QueuePair::Slot& slot, uint64_t source, uint64_t blocks) const;
  void command_done(Io& io, const nvme::Completion& completion);
  void all_done(Io& io, State& state);
  void finish(Io& io, nvme::Status status);
  std::span<std::byte> part_of(const Io& io, uint64_t block, uint64_t blocks) const;

  NvmePort& port_;
  const Bdev& bdev_;
  bool is_served_ = false;
  // What the device and the namespace are, as of the last serve():
  bool has_cache_ = false;
  bool has_write_zeroes_ = false;
  bool has_deallocate_ = false;
  bool zeroing_deallocates_ = false;  // and the blocks read as zeroes
  bool has_compare_ = false;
  bool has_verify_ = false;
  bool has_copy_ = false;
  nvme::DataPointers data_pointers_ = nvme::DataPointers::kPrps;
  uint32_t nsid_ = 0;
  uint32_t block_size_ = 512;
  CommandLimits limits_;
  size_t submitted_ = 0;
};

}  // namespace weft::bdev
