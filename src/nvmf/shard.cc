#include "nvmf/shard.h"

#include <algorithm>

#include "base/simulation.h"
#include "nvmf/controller.h"
#include "nvmf/io_runner.h"
#include "nvmf/target.h"

namespace weft::nvmf {
namespace {

constexpr Duration kTimeWatchPeriod = milliseconds(250);
constexpr Duration kStopWatchPeriod = milliseconds(10);

}  // namespace

Result<std::unique_ptr<Shard>> Shard::create(Target& target, size_t index, Reactor& reactor, MemorySource& memory) {
  auto buffers = BufferPool::create(memory, target.limits());
  if (!buffers) return std::unexpected(buffers.error());
  auto slots = SlotPool::create(memory, target.limits().slots_per_reactor);
  if (!slots) return std::unexpected(slots.error());
  return std::unique_ptr<Shard>(new Shard(target, index, reactor, std::move(*buffers), std::move(*slots)));
}

Shard::Shard(Target& target, size_t index, Reactor& reactor, std::unique_ptr<BufferPool> buffers, SlotPool slots)
    : target_(target), limits_(target.limits()), index_(index), reactor_(reactor), buffers_(std::move(buffers)), slots_(std::move(slots)) {
  reactor_.add(*buffers_);
}

Shard::~Shard() {
  WEFT_ASSERT(queues_.empty() && controllers_.empty());
  reactor_.disarm(time_watch_);
  reactor_.disarm(stop_watch_);
  // What devices never gave back: their Ios lie in the region that is unmapped now, so the devices must be closed first.
  views_.clear();
  reactor_.remove(*buffers_);
}

Reactor& Shard::home() { return target_.home(); }

void Shard::add_view(Subsystem& subsystem, HostAccess access) {
  views_.push_back(std::make_unique<SubsystemView>(SubsystemView{.subsystem = subsystem, .access = std::move(access)}));
}

void Shard::remove_view(Subsystem& subsystem) {
  WEFT_ASSERT(view(subsystem).by_nsid.empty());
  std::erase_if(views_, [&](const auto& each) { return &each->subsystem == &subsystem; });
}

SubsystemView& Shard::view(Subsystem& subsystem) {
  const auto found = std::ranges::find_if(views_, [&](const auto& each) { return &each->subsystem == &subsystem; });
  WEFT_ASSERT(found != views_.end());
  return **found;
}

SubsystemView* Shard::find_subsystem(std::string_view nqn) {
  const auto found = std::ranges::find_if(views_, [&](const auto& each) { return !each->is_leaving && each->subsystem.config().nqn == nqn; });
  return found == views_.end() ? nullptr : found->get();
}

Result<void> Shard::add_namespace(Subsystem& subsystem, Namespace& ns) {
  auto channel = ns.bdev().open_channel(reactor_);
  if (!channel) return std::unexpected(channel.error());
  SubsystemView& subsystem_view = view(subsystem);
  auto added = std::make_unique<NamespaceView>(*this, ns, subsystem.index(), std::move(*channel), ns.counters(index_));
  if (subsystem_view.table.size() < ns.nsid()) subsystem_view.table.resize(ns.nsid());
  subsystem_view.table[ns.nsid() - 1] = added.get();
  subsystem_view.by_nsid[ns.nsid()] = std::move(added);
  return {};
}

void Shard::remove_namespace(Subsystem& subsystem, uint32_t nsid, std::move_only_function<void()> done) {
  SubsystemView& subsystem_view = view(subsystem);
  auto node = subsystem_view.by_nsid.extract(nsid);
  removals_.push_back({subsystem.index(), nsid, std::move(done)});
  if (node.empty()) return tell_removed(subsystem.index(), nsid);  // hidden before; commands may still be on it
  subsystem_view.table[nsid - 1] = nullptr;
  NamespaceView& leaving = *node.mapped();
  leaving_.push_back(std::move(node.mapped()));
  leaving.on_idle([this, &leaving] {
    // Not from inside: the view's caller is still in it.
    reactor_.post([this, &leaving, index = leaving.subsystem(), nsid = leaving.ns().nsid()] {
      std::erase_if(leaving_, [&](const auto& view) { return view.get() == &leaving; });
      tell_removed(index, nsid);
    });
  });
}

/// Those who wait for the last view of a namespace to go, when it has gone.
void Shard::tell_removed(uint32_t subsystem, uint32_t nsid) {
  const auto is_view = [&](const auto& view) { return view->subsystem() == subsystem && view->ns().nsid() == nsid; };
  if (std::ranges::any_of(leaving_, is_view)) return;
  const auto waits = [&](const Removal& each) { return each.subsystem == subsystem && each.nsid == nsid; };
  std::vector<std::move_only_function<void()>> told;
  for (Removal& each : removals_) {
    if (waits(each)) told.push_back(std::move(each.done));
  }
  std::erase_if(removals_, waits);
  for (auto& done : told) done();
}

void Shard::resize_namespace(Subsystem& subsystem, uint32_t nsid, uint64_t block_count) {
  if (NamespaceView* found = view(subsystem).find(nsid)) found->set_block_count(block_count);
}

NamespaceView* Shard::find_view(uint32_t subsystem, uint32_t nsid) {
  const auto there = std::ranges::find_if(views_, [&](const auto& each) { return each->subsystem.index() == subsystem; });
  if (there != views_.end()) {
    if (NamespaceView* found = (*there)->find(nsid)) return found;
  }
  const auto leaving = std::ranges::find_if(
      leaving_, [&](const auto& view) { return view->subsystem() == subsystem && view->ns().nsid() == nsid; });
  if (leaving == leaving_.end()) return nullptr;
  WEFT_PROBE("nvmf/freeze-of-leaving-namespace");
  return leaving->get();
}

void Shard::freeze(uint32_t subsystem, uint32_t nsid, BlockRange range, std::move_only_function<void()> drained) {
  NamespaceView* found = find_view(subsystem, nsid);
  return found == nullptr ? drained() : found->freeze(range, std::move(drained));
}

void Shard::thaw(uint32_t subsystem, uint32_t nsid) {
  NamespaceView* found = find_view(subsystem, nsid);
  if (found != nullptr && found->is_frozen()) found->thaw(&IoRunner::resume);
}

void Shard::add(Queue& queue) {
  queues_.push_back(queue);
  ++queue_count_;
  if (!time_watch_.is_armed()) reactor_.arm(time_watch_, kTimeWatchPeriod);
}

void Shard::remove(Queue& queue) {
  queue.shard_link.unlink();
  --queue_count_;
  queue.leave_account();
}

Controller& Shard::add(std::unique_ptr<Controller> controller) {
  controllers_.push_back(std::move(controller));
  return *controllers_.back();
}

void Shard::remove(Controller& controller) {
  std::erase_if(controllers_, [&](const auto& entry) { return entry.get() == &controller; });
}

void Shard::adopt(SlotChunk* chunk) {
  for (Command& command : chunk->commands) {
    if (command.state != CommandState::kFree) command.queue = nullptr;
  }
  quarantine_.push_back(chunk);
}

void Shard::quarantine_ended(Command& command) {
  const auto holds = [&](SlotChunk* chunk) {
    return &command >= chunk->commands.data() && &command < chunk->commands.data() + chunk->commands.size();
  };
  const auto found = std::ranges::find_if(quarantine_, holds);
  WEFT_ASSERT(found != quarantine_.end());
  SlotChunk* chunk = *found;
  if (!command.buffer.empty()) buffers_->free(command.share, std::exchange(command.buffer, {}));
  if (!command.scratch.empty()) buffers_->free(Share::kScratch, std::exchange(command.scratch, {}));
  command.data = {};
  if (NamespaceView* view = std::exchange(command.target_view, nullptr)) view->release();
  command.state = CommandState::kFree;
  chunk->taken &= ~(1u << (&command - chunk->commands.data()));
  if (chunk->taken != 0) return;
  quarantine_.erase(found);
  slots_.give_back(chunk);
}

void Shard::time_out(Queue& queue, Duration patience) {
  queue.slots_.for_each([&](Command& command) {
    const bool is_in_device = command.state == CommandState::kExecuting && command.started != Instant{};
    if (is_in_device && reactor_.now() - command.started >= patience) queue.time_out(command);
  });
}

void Shard::watch_time() {
  queues_.for_each([&](Queue& queue) {
    // A queue without a connection waits less long: its host's next association waits for it.
    const Duration patience = milliseconds(queue.state() == QueueState::kDetached ? limits().shutdown_ms : limits().io_timeout_ms);
    time_out(queue, patience);
  });
  if (!queues_.empty()) reactor_.arm(time_watch_, kTimeWatchPeriod);
}

void Shard::stop(Instant deadline) {
  is_stopping_ = true;
  stop_deadline_ = deadline;
  queues_.for_each([](Queue& queue) { queue.stop(); });
  watch_stop();
}

bool Shard::has_io_in_device() const {
  const auto is_busy = [](const auto& entry) { return !entry.second->is_idle(); };
  if (!quarantine_.empty() || !leaving_.empty()) return true;
  return std::ranges::any_of(views_, [&](const auto& view) { return std::ranges::any_of(view->by_nsid, is_busy); });
}

bool Shard::give_up(std::span<const ControllerId> controllers) {
  bool is_connected = false;
  queues_.for_each([&](Queue& queue) {
    if (!queue.payer_ || std::ranges::find(controllers, *queue.payer_) == controllers.end()) return;
    if (queue.state() == QueueState::kDetached) {
      time_out(queue, {});
    } else {
      is_connected = true;
    }
  });
  return !is_connected;
}

bool Shard::has_stopped() const { return queues_.empty() && (!has_io_in_device() || reactor_.now() >= stop_deadline_); }

void Shard::watch_stop() {
  const bool is_late = reactor_.now() >= stop_deadline_;
  queues_.for_each([&](Queue& queue) {
    if (is_late || queue.is_quiet()) queue.close(CloseReason::kShutdown);
  });
  if (!queues_.empty()) reactor_.arm(stop_watch_, kStopWatchPeriod);
}

}  // namespace weft::nvmf
