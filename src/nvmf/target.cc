#include "nvmf/target.h"

#include <algorithm>

#include "nvmf/controller.h"
#include "wire/fabrics/connect.h"

namespace weft::nvmf {

Result<std::unique_ptr<Target>> Target::create(const Limits& limits, std::span<const ShardResources> shards) {
  std::unique_ptr<Target> target{new Target(limits, shards.front().reactor.now())};
  target->subsystems_.push_back(std::make_unique<Subsystem>(
      0, SubsystemKind::kDiscovery, SubsystemConfig{.nqn = fabrics::kDiscoveryNqn, .serial = "discovery", .access = {.allow_any_host = true}},
      limits.controllers));
  for (size_t i = 0; i < shards.size(); ++i) {
    auto shard = Shard::create(*target, i, shards[i].reactor, shards[i].memory);
    if (!shard) return std::unexpected(shard.error());
    (*shard)->add_view(target->discovery(), target->discovery().access());
    target->shards_.push_back(std::move(*shard));
  }
  return target;
}

Target::~Target() = default;

Result<Subsystem*> Target::add_subsystem(SubsystemConfig config) {
  const auto created = create_subsystem(std::move(config));
  if (!created) return created;
  for (const auto& shard : shards_) shard->add_view(**created, (*created)->access());
  return created;
}

void Target::set_listeners(std::vector<ListenerRecord> listeners) {
  discovery_facts_.listeners = std::move(listeners);
  for (const auto& shard : shards_) shard->set_discovery(discovery_facts_);
}

void Target::on_every_shard(std::function<void(Shard&)> on_shard, std::move_only_function<void()> then) {
  const auto gathering = gather(std::move(on_shard), std::move(then));
  for (const auto& shard : shards_) {
    shard->reactor().post([this, gathering, &shard = *shard] {
      gathering->on_shard(shard);
      home().post([this, gathering] { one_has_answered(gathering); });
    });
  }
}

Target::Gatherings::iterator Target::gather(std::function<void(Shard&)> on_shard, std::move_only_function<void()> then) {
  return gatherings_.insert(gatherings_.end(), Gathering{std::move(on_shard), std::move(then), shards_.size()});
}

void Target::one_has_answered(Gatherings::iterator gathering) {
  if (--gathering->missing > 0) return;
  auto then = std::move(gathering->then);
  gatherings_.erase(gathering);
  then();
}

void Target::stop(std::move_only_function<void()> done) {
  WEFT_ASSERT(!on_stopped_);
  on_stopped_ = std::move(done);
  const Instant deadline = home().now() + milliseconds(limits_.shutdown_ms);
  on_every_shard([deadline](Shard& shard) { shard.stop(deadline); }, [this] { watch_stop(); });
}

void Target::watch_stop() {
  // One answer per shard, written by that shard, read when all have answered; no vector<bool>, whose elements share bytes.
  auto answers = std::make_unique<std::vector<char>>(shards_.size());
  auto& have_stopped = *answers;
  on_every_shard([&have_stopped](Shard& shard) { have_stopped[shard.index()] = char(shard.has_stopped()); },
                 [this, answers = std::move(answers)] {
                   if (std::ranges::find(*answers, 0) == answers->end()) return std::exchange(on_stopped_, {})();
                   home().arm(stop_watch_, milliseconds(5));
                 });
}

}  // namespace weft::nvmf
