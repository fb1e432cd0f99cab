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
    target->shards_.push_back(std::move(*shard));
  }
  return target;
}

Target::~Target() = default;

Result<Subsystem*> Target::add_subsystem(SubsystemConfig config) {
  const auto same = std::ranges::find_if(subsystems_, [&](const auto& other) { return other->config().nqn == config.nqn; });
  if (same != subsystems_.end()) return fail(Errc::kExists, config.nqn);
  subsystems_.push_back(
      std::make_unique<Subsystem>(uint32_t(subsystems_.size()), SubsystemKind::kNvm, std::move(config), limits_.controllers));
  return subsystems_.back().get();
}

void Target::on_every_shard(std::function<void(Shard&)> on_shard, std::move_only_function<void()> then) {
  struct Gathering {
    std::function<void(Shard&)> on_shard;
    std::move_only_function<void()> then;
    size_t missing;
  };
  auto* gathering = new Gathering{std::move(on_shard), std::move(then), shards_.size()};
  for (const auto& shard : shards_) {
    shard->reactor().post([this, gathering, &shard = *shard] {
      gathering->on_shard(shard);
      home().post([gathering] {
        if (--gathering->missing > 0) return;
        const std::unique_ptr<Gathering> last{gathering};
        last->then();
      });
    });
  }
}

void Target::add_namespace(Subsystem& subsystem, uint32_t nsid, NamespaceIdentity identity, std::unique_ptr<bdev::Bdev> bdev,
                           std::move_only_function<void(Result<void>)> done) {
  if (nsid == 0 || nsid > limits_.namespaces) return done(fail(Errc::kLimit, "the NSID is outside the range of the subsystem"));
  if (subsystem.namespaces().contains(nsid)) return done(fail(Errc::kExists, "a namespace of that NSID is there already"));
  Freezer::Shards shards;
  for (const auto& shard : shards_) shards.push_back(shard.get());
  auto& ns = *(subsystem.namespaces()[nsid] = std::make_unique<Namespace>(nsid, identity, std::move(bdev), std::move(shards)));
  // One result per shard, written by that shard, read when all have answered.
  auto results = std::make_unique<std::vector<Result<void>>>(shards_.size());
  auto& opened = *results;
  on_every_shard([&subsystem, &ns, &opened](Shard& shard) { opened[shard.index()] = shard.add_namespace(subsystem, ns); },
                 [this, &subsystem, nsid, results = std::move(results), done = std::move(done)]() mutable {
                   const auto failed = std::ranges::find_if(*results, [](const auto& result) { return !result; });
                   if (failed == results->end()) {
                     announce(subsystem, nsid);
                     return done({});
                   }
                   remove_namespace(subsystem, nsid,
                                    [why = failed->error(), done = std::move(done)](Result<void>) mutable { done(std::unexpected(why)); });
                 });
}

void Target::remove_namespace(Subsystem& subsystem, uint32_t nsid, std::move_only_function<void(Result<void>)> done) {
  const auto found = subsystem.namespaces().find(nsid);
  if (found == subsystem.namespaces().end()) return done(fail(Errc::kNotFound, "no namespace of that NSID"));
  if (found->second->is_leaving()) return done(fail(Errc::kBusy, "the namespace is being removed already"));
  found->second->leave();
  struct Leaving {
    size_t missing;
    std::move_only_function<void(Result<void>)> done;
  };
  auto* leaving = new Leaving{shards_.size(), std::move(done)};
  for (const auto& shard : shards_) {
    shard->reactor().post([this, &subsystem, nsid, leaving, &shard = *shard] {
      shard.remove_namespace(subsystem, nsid, [this, &subsystem, nsid, leaving] {
        home().post([&subsystem, nsid, leaving] {
          if (--leaving->missing > 0) return;
          const std::unique_ptr<Leaving> last{leaving};
          subsystem.namespaces().erase(nsid);
          last->done({});
        });
      });
    });
  }
  announce(subsystem, nsid);
}

void Target::announce(Subsystem& subsystem, uint32_t nsid) {
  subsystem.registry().for_each([nsid](Controller& controller) {
    controller.reactor().post([&controller, nsid] { controller.namespace_changed(nsid); });
  });
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
