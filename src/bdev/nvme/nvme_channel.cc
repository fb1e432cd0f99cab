#include "bdev/nvme/nvme_channel.h"

#include <algorithm>
#include <new>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/simulation.h"
#include "bdev/nvme/device_status.h"
#include "bdev/op_class.h"

namespace weft::bdev {
namespace {

bool changes_blocks(Op op) { return class_of(op) == OpClass::kWrite; }

}  // namespace

NvmeChannel::NvmeChannel(NvmePort& port, const Bdev& bdev) : port_(port), bdev_(bdev) { port.add(*this); }

NvmeChannel::~NvmeChannel() {
  WEFT_ASSERT(submitted_ == 0);
  port_.remove(*this);
}

void NvmeChannel::serve(const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns) {
  is_served_ = true;
  has_cache_ = controller.has_volatile_cache;
  has_write_zeroes_ = controller.has_write_zeroes;
  has_deallocate_ = controller.has_deallocate;
  zeroing_deallocates_ = controller.has_write_zeroes && ns.reads_zeroes_after_zeroing;
  data_pointers_ = controller.data_pointers;
  nsid_ = ns.nsid;
  block_size_ = ns.block_size;
  limits_ = limits_of(controller, ns);
  has_compare_ = controller.has_compare;
  has_verify_ = controller.has_verify;
  has_copy_ = has_copy(controller, ns);
}

bool NvmeChannel::takes(Op op) const {
  switch (op) {
    case Op::kRead:
    case Op::kWrite:
    case Op::kFlush:
    case Op::kWriteZeroes:
    case Op::kDeallocate: return true;
    case Op::kCompare: return has_compare_;
    case Op::kVerify: return has_verify_;
    case Op::kCopy: return has_copy_;
  }
  WEFT_ASSERT(false);
  return false;
}

uint64_t NvmeChannel::blocks_max(Action action) const {
  switch (action) {
    case Action::kTransfer: return limits_.transfer;
    case Action::kFlush: return 1;
    case Action::kZero: return limits_.zero;
    case Action::kFillWithZeroes: return limits_.fill_with_zeroes;
    case Action::kDeallocate: return limits_.deallocate;
    case Action::kVerify: return limits_.verify;
    case Action::kCopy: return limits_.copy;
    case Action::kNothing: break;
  }
  WEFT_ASSERT(false);
  return 0;
}

void NvmeChannel::refuse() {
  is_served_ = false;
  port_.end_waiting(this);
}

NvmeChannel::State& NvmeChannel::state_of(Io& io) { return *std::launder(reinterpret_cast<State*>(io.scratch)); }

NvmeChannel::Action NvmeChannel::action_of(Op op) const {
  switch (op) {
    case Op::kRead:
    case Op::kWrite:
    case Op::kCompare: return Action::kTransfer;
    case Op::kFlush: return has_cache_ && !WEFT_PLANTED("nvme-flush-not-sent") ? Action::kFlush : Action::kNothing;
    case Op::kWriteZeroes: return has_write_zeroes_ ? Action::kZero : Action::kFillWithZeroes;
    case Op::kDeallocate:
      if (zeroing_deallocates_) return Action::kZero;
      return has_deallocate_ ? Action::kDeallocate : Action::kNothing;
    case Op::kVerify: return Action::kVerify;
    case Op::kCopy: return Action::kCopy;
  }
  WEFT_ASSERT(false);
  return Action::kNothing;
}

void NvmeChannel::prepare(Io& io, State& state) {
  state.action = action_of(io.op);
  if (state.action != Action::kTransfer) return;
  const auto iova = port_.map().find(io.data);
  state.needs_bounce = !iova || !nvme::is_prp_aligned(*iova);
  state.iova = iova.value_or(0);
}

void NvmeChannel::submit(Io& io) {
  if (!takes_ios()) return io.done(nvme::status::kInternalPathError);
  State& state = *new (io.scratch) State{.channel = this, .submitted = port_.reactor().now()};
  prepare(io, state);
  ++submitted_;
  if (state.action == Action::kNothing) return finish(io, nvme::status::kSuccess);
  if (port_.has_waiting() || !advance(io, state)) port_.wait(io);
}

bool NvmeChannel::go_on(Io& io) {
  State& state = state_of(io);
  return state.channel->advance(io, state);
}

void NvmeChannel::give_up(Io& io) {
  State& state = state_of(io);
  if (state.commands == 0) return state.channel->finish(io, nvme::status::kInternalPathError);
  if (state.failure.ok()) state.failure = nvme::status::kInternalPathError;
}

bool NvmeChannel::advance(Io& io, State& state) {
  while (state.begun < blocks_of(io)) {
    if (!state.failure.ok() || state.must_try_again) return true;  // it ends with the commands that are out
    if (state.bounce != kNoBounce && state.commands != 0) return true;  // one command at a time
    if (!port_.queue().has_room()) return false;
    uint64_t blocks = std::min(blocks_of(io) - state.begun, blocks_max(state.action));
    if (state.needs_bounce) {
      if (state.bounce == kNoBounce) {
        const auto bounce = port_.bounces().take();
        if (!bounce) return false;
        state.bounce = *bounce;
      }
      blocks = std::min<uint64_t>(blocks, BounceBuffers::kBytes / block_size_);
      if (io.op != Op::kRead) std::ranges::copy(part_of(io, state.begun, blocks), port_.bounces().buffer(state.bounce).begin());
      state.bounced = uint32_t(blocks);
    }
    begin_command(io, state, blocks);
  }
  return true;
}

void NvmeChannel::begin_command(Io& io, State& state, uint64_t blocks) {
  const nvme::Recipient recipient{[](void* owner, uint64_t tag, const nvme::Completion& completion) {
                                    static_cast<NvmeChannel*>(owner)->command_done(*reinterpret_cast<Io*>(tag), completion);
                                  },
                                  this, reinterpret_cast<uint64_t>(&io)};
  auto slot = port_.queue().begin(recipient);
  build(slot, io, state, state.begun, blocks);
  state.begun += blocks;
  ++state.commands;
}

void NvmeChannel::build(nvme::QueuePair::Slot& slot, const Io& io, const State& state, uint64_t block, uint64_t blocks) const {
  using nvme::IoOpcode;
  nvme::Sqe& sqe = slot.sqe;
  sqe.nsid = nsid_;
  if (state.action == Action::kFlush) {
    sqe.opcode = uint8_t(IoOpcode::kFlush);
    return;
  }
  const uint64_t first = io.block + block;
  if (state.action == Action::kDeallocate) {
    sqe.opcode = uint8_t(IoOpcode::kDatasetManagement);
    sqe.cdw11 = nvme::kDsmDeallocate;
    // The one range lies where another command has its PRP list.
    const nvme::DsmRange range{.attributes = 0, .length_blocks = uint32_t(blocks), .slba = first};
    std::ranges::copy(bytes_of(range), std::as_writable_bytes(slot.list.entries).begin());
    return nvme::set_prps(sqe, {.prp1 = slot.list.iova, .prp2 = 0});
  }
  sqe.cdw10 = uint32_t(first);
  sqe.cdw11 = uint32_t(first >> 32);
  uint32_t cdw12 = uint32_t(blocks - 1);
  const bool is_stable = changes_blocks(io.op) && io.durability == Durability::kStable;
  if (is_stable && has_cache_ && !WEFT_PLANTED("nvme-fua-missing")) cdw12 |= nvme::kCdw12Fua;
  switch (state.action) {
    case Action::kTransfer: {
      sqe.opcode = uint8_t(io.op == Op::kRead ? IoOpcode::kRead : io.op == Op::kWrite ? IoOpcode::kWrite : IoOpcode::kCompare);
      const uint64_t iova =
          state.bounce == kNoBounce ? state.iova + block * block_size_ : port_.bounce_iova(state.bounce);
      nvme::set_data(sqe, iova, uint32_t(blocks * block_size_), slot.list, data_pointers_);
      break;
    }
    case Action::kFillWithZeroes:
      sqe.opcode = uint8_t(IoOpcode::kWrite);
      nvme::set_data(sqe, port_.zeroes_iova(), uint32_t(blocks * block_size_), slot.list, data_pointers_);
      break;
    case Action::kZero:
      sqe.opcode = uint8_t(IoOpcode::kWriteZeroes);
      if (zeroing_deallocates_ && (io.op == Op::kDeallocate || io.zeroing == Zeroing::kMayDeallocate)) cdw12 |= nvme::kCdw12Deallocate;
      break;
    case Action::kVerify: sqe.opcode = uint8_t(IoOpcode::kVerify); break;
    case Action::kCopy:
      sqe.opcode = uint8_t(IoOpcode::kCopy);
      cdw12 = (cdw12 & nvme::kCdw12Fua) | uint32_t(build_copy_ranges(slot, io.source + block, blocks) - 1);
      break;
    case Action::kFlush:
    case Action::kDeallocate:
    case Action::kNothing: WEFT_ASSERT(false);
  }
  sqe.cdw12 = cdw12;
}

/// The source ranges lie where another command has its PRP list. Returns how many there are.
size_t NvmeChannel::build_copy_ranges(nvme::QueuePair::Slot& slot, uint64_t source, uint64_t blocks) const {
  const auto memory = std::as_writable_bytes(slot.list.entries);
  size_t count = 0;
  for (uint64_t done = 0; done < blocks; ++count) {
    const uint64_t length = std::min(blocks - done, limits_.copy_range);
    nvme::CopyRange range{};
    range.slba = source + (WEFT_PLANTED("nvme-copy-range-repeated") ? 0 : done);
    range.nlb = uint16_t(length - 1);
    std::ranges::copy(bytes_of(range), memory.subspan(count * sizeof range, sizeof range).begin());
    done += length;
  }
  nvme::set_prps(slot.sqe, {.prp1 = slot.list.iova, .prp2 = 0});
  return count;
}

void NvmeChannel::command_done(Io& io, const nvme::Completion& completion) {
  State& state = state_of(io);
  --state.commands;
  port_.command_ended();
  const bool is_unknown = !completion.is_answered || is_worth_another_try(completion.status);
  if (is_unknown) {
    state.must_try_again = true;
  } else if (!completion.status.ok()) {
    if (state.failure.ok()) state.failure = status_of_device(completion.status);
  } else if (WEFT_PLANTED("nvme-last-status")) {
    state.failure = {};
  } else if (state.bounce != kNoBounce && io.op == Op::kRead) {
    const auto part = part_of(io, state.begun - state.bounced, state.bounced);
    std::ranges::copy(port_.bounces().buffer(state.bounce).first(part.size()), part.begin());
  }
  if (!takes_ios() && state.begun < blocks_of(io) && state.failure.ok()) state.failure = nvme::status::kInternalPathError;
  const bool goes_on = state.failure.ok() && !state.must_try_again;
  if (!goes_on && state.commands == 0) return all_done(io, state);
  if (goes_on && state.commands == 0 && state.begun == blocks_of(io)) return all_done(io, state);
  // The rest of a bounced Io, which does not wait with the others. What is begun by on_room() must not be begun here.
  if (goes_on && state.bounce != kNoBounce && !io.link.is_linked() && !advance(io, state)) port_.wait(io);
}

void NvmeChannel::all_done(Io& io, State& state) {
  if (io.link.is_linked()) io.link.unlink();
  if (!state.failure.ok()) return finish(io, state.failure);
  if (!state.must_try_again) return finish(io, nvme::status::kSuccess);
  // What changes blocks may have been done already, and others may have written over it since: whoever asked for it must know.
  if (changes_blocks(io.op) || state.tries == kTriesMax || !takes_ios()) {
    WEFT_PROBE("nvme/not-answered");
    return finish(io, nvme::status::kInternalPathError);
  }
  WEFT_PROBE("nvme/tried-again");
  ++state.tries;
  state.begun = 0;
  state.must_try_again = false;
  port_.wait(io);  // until there is room, which may be after a reset
}

void NvmeChannel::finish(Io& io, nvme::Status status) {
  State& state = state_of(io);
  if (state.bounce != kNoBounce) port_.bounces().free(state.bounce);
  port_.io_ended(io.op, state.submitted);
  state.~State();
  --submitted_;
  io.done(status);
}

std::span<std::byte> NvmeChannel::part_of(const Io& io, uint64_t block, uint64_t blocks) const {
  return io.data.subspan(block * block_size_, blocks * block_size_);
}

}  // namespace weft::bdev
