#include "sim/workload.h"

#include "base/assert.h"
#include "wire/print.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::sim {
namespace {

constexpr uint64_t kReadBackBytes = 16 << 10;  // of one command: blocks that nobody has named are not read along in great numbers

}  // namespace

Workload::Workload(Reactor& reactor, host::Controller& controller, Prng prng, const WorkloadOptions& options,
                   std::span<Volume* const> volumes, Referee& referee, Trace& trace)
    : reactor_(reactor),
      controller_(controller),
      prng_(prng),
      options_(options),
      referee_(referee),
      trace_(trace),
      chatter_(controller,
               {.on_namespace = [this](uint32_t nsid, const nvme::IdentifyNamespace& id) { learn(nsid, id); },
                .on_wrong = [this](const std::string& what) { wrong(what); },
                .on_answered = [this] { ++tally_.commands; },
                .on_lost = [this] { is_lost_ = true; }}) {
  for (Volume* volume : volumes) targets_.push_back({.volume = volume});
  for (size_t i = 0; i < controller.io_queue_count(); ++i) {
    lanes_.push_back(std::make_unique<IoLane>(static_cast<LaneOwner&>(*this), controller.io_queue(i), uint16_t(i + 1),
                                              controller.queue_entries()));
  }
}

Workload::~Workload() { reactor_.disarm(beat_); }

void Workload::start() {
  is_running_ = true;
  for (Target& target : targets_) target.volume->associated(options_.host);
  chatter_.start(options_.is_write_cache_enabled);
  for (Target& target : targets_) chatter_.identify(target.volume->traits().nsid);
  on_beat();
}

void Workload::stop() {
  is_running_ = false;
  chatter_.stop();
}

bool Workload::is_idle() const {
  return chatter_.outstanding() == 0 &&
         std::ranges::all_of(lanes_, [](const auto& lane) { return lane->outstanding() == 0; });
}

void Workload::on_beat() {
  judge_end();
  if (is_lost_) return;
  reactor_.arm(beat_, milliseconds(1) + nanoseconds(int64_t(prng_.below(uint64_t(options_.pause_max.ns)))));
  const Instant deadline{reactor_.now().ns - options_.command_timeout.ns};
  for (auto& lane : lanes_) lane->close_if_late(deadline);
  if (!is_running_ || is_reading_back_) return;
  // Mostly a few commands, for a world has many beats; now and then as many as the queues hold, twice.
  budget_ = prng_.one_in(kFullBeatOneIn) ? 2 * depth() * lanes_.size() : 1 + prng_.below(kBudgetMax);
  for (auto& lane : lanes_) {
    switch (prng_.below(4)) {
      case 0: lane->feed(0); break;  // a pause
      case 1: lane->feed(depth()); break;
      default: lane->feed(1 + prng_.below(depth())); break;
    }
  }
  chat();
}

size_t Workload::depth() const { return std::min<size_t>(options_.queue_depth, controller_.queue_entries()); }

bool Workload::read_back() {
  if (!std::exchange(is_reading_back_, true)) {
    chatter_.stop();
    for (auto& lane : lanes_) lane->feed(depth());
  }
  return read_back_target_ == targets_.size() && is_idle();
}

std::optional<DrawnCommand> Workload::draw_read_back() {
  for (; read_back_target_ < targets_.size(); ++read_back_target_, read_back_lba_ = 0) {
    Volume& volume = *targets_[read_back_target_].volume;
    const auto first = volume.next_touched(read_back_lba_);
    if (!first) continue;
    const uint64_t most = std::min(controller_.transfer_max(), kReadBackBytes) / volume.traits().block_size;
    const uint64_t count = std::min(most, volume.traits().block_count - *first);
    read_back_lba_ = *first + count;
    return read_command(volume, options_.host, {*first, count});
  }
  return std::nullopt;
}

/// Something for the admin queue.
void Workload::chat() {
  if (targets_.empty()) return;
  const uint32_t nsid = targets_[prng_.below(targets_.size())].volume->traits().nsid;
  if (prng_.one_in(3)) chatter_.ask_something(prng_, nsid);
  if (lanes_.empty() || !prng_.one_in(3)) return;
  IoLane& lane = *lanes_[prng_.below(lanes_.size())];
  if (IoCommand* command = lane.pick(prng_)) {
    chatter_.abort(*command, lane.qid(), command->outstanding_half(prng_.below(command->halves())));
  }
}

void Workload::learn(uint32_t nsid, const nvme::IdentifyNamespace& identity) {
  for (Target& target : targets_) {
    if (target.volume->traits().nsid != nsid || uint64_t{identity.nsze} == 0) continue;
    target.copy = {
        .ranges = uint32_t{identity.msrc} + 1, .range_blocks = uint16_t{identity.mssrl}, .blocks = identity.mcl};
    if (target.copy.blocks == 0) target.copy = {};
  }
}

std::optional<DrawnCommand> Workload::draw() {
  if (is_reading_back_) return draw_read_back();
  if (targets_.empty() || budget_ == 0) return std::nullopt;
  --budget_;
  if (proof_since_) return draw_proof();
  return draw_for(targets_[prng_.below(targets_.size())], options_.mix);
}

/// A command of which a success is missing: a read, a write or a flush.
std::optional<DrawnCommand> Workload::draw_proof() {
  const auto mix_for = [since = *proof_since_](const Target& target) {
    CommandMix mix{.write_zeroes = 0, .deallocate = 0, .compare = 0, .fused = 0, .verify = 0, .copy = 0, .invalid = 0};
    if (target.progress.read >= since) mix.read = 0;
    if (target.progress.write >= since) mix.write = 0;
    if (target.progress.flush >= since) mix.flush = 0;
    return mix;
  };
  const size_t first = prng_.below(targets_.size());
  for (size_t i = 0; i < targets_.size(); ++i) {
    const Target& target = targets_[(first + i) % targets_.size()];
    if (const CommandMix mix = mix_for(target); mix.read + mix.write + mix.flush > 0) return draw_for(target, mix);
  }
  return std::nullopt;
}

DrawnCommand Workload::draw_for(const Target& target, const CommandMix& mix) {
  const CommandBounds bounds{
      .transfer_bytes = controller_.transfer_max(),
      .fused_blocks = uint32_t{controller_.identity().acwu} + 1,
      .copy = target.copy,
      .has_write_cache = !chatter_.has_switched_cache_off()};
  return draw_command(prng_, *target.volume, options_.host, mix, bounds);
}

void Workload::began(IoCommand& command, uint16_t qid) {
  for (size_t half = 0; half < command.halves(); ++half) {
    if (chatter_.is_aborting(qid, command.cid(half))) command.expect_abort();
  }
  const DrawnCommand& drawn = command.drawn();
  if (drawn.due) {
    trace_.note(reactor_.now(), "host {} queue {}: an invalid command", options_.host, qid);
  } else {
    trace_.note(reactor_.now(), "host {} queue {} namespace {}: {}", options_.host, qid, drawn.volume->traits().nsid,
                to_text(drawn.access));
  }
}

void Workload::ended(IoCommand& command, uint16_t qid) {
  if (command.is_lost()) is_lost_ = true;
  const DrawnCommand& drawn = command.drawn();
  trace_.note(reactor_.now(), "host {} queue {} namespace {}: {}: {}", options_.host, qid, drawn.volume->traits().nsid,
              drawn.due ? std::string{"invalid"} : to_text(drawn.access), nvme::to_text(command.status()));
  if (const std::string what = command.judge(is_corrupted_); !what.empty()) wrong(what);
  if (command.is_lost()) return;
  tally_.commands += command.halves();
  if (command.has_succeeded()) count(command);
}

void Workload::count(const IoCommand& command) {
  const DrawnCommand& drawn = command.drawn();
  if (drawn.ranges.empty()) tally_.bytes += drawn.in_bytes + drawn.out_bytes;
  const auto target = std::ranges::find(targets_, drawn.volume, &Target::volume);
  if (target == targets_.end()) return;
  const auto note = [&](Instant& newest) { newest = std::max(newest, command.submitted()); };
  if (drawn.access.kind == AccessKind::kRead) note(target->progress.read);
  if (drawn.access.kind == AccessKind::kWrite) note(target->progress.write);
  if (drawn.access.kind == AccessKind::kFlush) note(target->progress.flush);
}

bool Workload::has_progressed_since(Instant since) const {
  return std::ranges::all_of(targets_, [&](const Target& target) {
    return target.progress.read >= since && target.progress.write >= since && target.progress.flush >= since;
  });
}

void Workload::add(Volume& volume) {
  targets_.push_back({.volume = &volume});
  volume.associated(options_.host);
  chatter_.identify(volume.traits().nsid);
}

void Workload::remove(Volume& volume) {
  std::erase_if(targets_, [&](const Target& target) { return target.volume == &volume; });
}

void Workload::wrong(const std::string& what) {
  if (is_corrupted_) return;  // with digests, corruption shows as errors, and as the end of connections
  referee_.fail("oracle", fmt::format("host {}: {}", options_.host, what));
}

void Workload::judge_end() {
  const Error* end = controller_.failure();
  if (end == nullptr || is_judged_) return;
  is_judged_ = is_lost_ = true;
  trace_.note(reactor_.now(), "host {}: the association has ended: {}", options_.host, end->what());
  if (end->code == Errc::kInvalid && !is_corrupted_) {
    referee_.fail("completion", fmt::format("host {}: {}", options_.host, end->what()));
  }
}

}  // namespace weft::sim
