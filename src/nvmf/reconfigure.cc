// How the target changes while it serves: namespaces, access, listeners, subsystems. Everything here runs on the home reactor and reaches the
// others by message; none of it stops a command of anybody else, and what has to wait for a device says so after a while (bounded.h).
#include <algorithm>

#include "base/simulation.h"
#include "nvmf/controller.h"
#include "nvmf/target.h"

namespace weft::nvmf {
namespace {

constexpr char kNoSubsystem[] = "the subsystem is being removed";

/// The namespace. Errors: kNotFound; kBusy while it is coming or going.
Result<Namespace*> find_settled(Subsystem& subsystem, uint32_t nsid) {
  const auto found = subsystem.namespaces().find(nsid);
  if (found == subsystem.namespaces().end()) return fail(Errc::kNotFound, "no namespace of that NSID");
  const Namespace::Stage stage = found->second->stage();
  if (stage != Namespace::Stage::kThere && stage != Namespace::Stage::kAway) return fail(Errc::kBusy, "the namespace is being added or removed");
  return found->second.get();
}

}  // namespace

// --- namespaces -----------------------------------------------------------------------------------------------------------------------------

void Target::add_namespace(Subsystem& subsystem, uint32_t nsid, NamespaceIdentity identity, std::unique_ptr<bdev::Bdev> bdev, Done done) {
  if (subsystem.is_leaving()) return done(fail(Errc::kNotFound, kNoSubsystem));
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
                   Result<void> added = failed == results->end() ? Result<void>{} : std::unexpected(failed->error());
                   if (added && subsystem.is_leaving()) added = fail(Errc::kNotFound, kNoSubsystem);
                   if (!added) return withdraw(subsystem, nsid, [added, done = std::move(done)](Result<void>) mutable { done(added); });
                   Namespace& there = *subsystem.namespaces().at(nsid);
                   there.enter(Namespace::Stage::kThere);
                   watch_device(subsystem, there);
                   announce(subsystem, nsid);
                   done({});
                 });
}

void Target::remove_namespace(Subsystem& subsystem, uint32_t nsid, Done done) {
  if (const auto found = find_settled(subsystem, nsid); !found) return done(std::unexpected(found.error()));
  withdraw(subsystem, nsid, Bounded::within(home(), milliseconds(limits_.removal_ms),
                                            "the namespace is hidden, but a command still uses its device", std::move(done)));
  announce(subsystem, nsid);
}

/// Hides the namespace everywhere, waits for its commands, destroys it.
void Target::withdraw(Subsystem& subsystem, uint32_t nsid, Done done) {
  subsystem.namespaces().at(nsid)->enter(Namespace::Stage::kLeaving);
  const auto leaving = gather({}, [&subsystem, nsid, done = std::move(done)]() mutable {
    subsystem.erase_namespace(nsid);
    done({});
  });
  for (const auto& shard : shards_) {
    shard->reactor().post([this, &subsystem, nsid, leaving, &shard = *shard] {
      shard.remove_namespace(subsystem, nsid, [this, leaving] {
        home().post([this, leaving] { one_has_answered(leaving); });
      });
    });
  }
}

void Target::resize_namespace(Subsystem& subsystem, uint32_t nsid, uint64_t block_count, Done done) {
  const auto found = find_settled(subsystem, nsid);
  if (!found) return done(std::unexpected(found.error()));
  Namespace* ns = *found;
  if (block_count == 0) return done(fail(Errc::kInvalid, "a namespace has at least one block"));
  const auto available = ns->bdev().blocks_available();
  if (!available) return done(std::unexpected(available.error()));
  if (block_count > *available) return done(fail(Errc::kLimit, "the device has fewer blocks than that"));
  ns->set_block_count(block_count);
  on_every_shard([&subsystem, nsid, block_count](Shard& shard) { shard.resize_namespace(subsystem, nsid, block_count); },
                 [this, &subsystem, nsid, done = std::move(done)]() mutable {
                   announce(subsystem, nsid);
                   done({});
                 });
}

void Target::watch_device(Subsystem& subsystem, Namespace& ns) {
  // By name, and by message: when it is delivered, either may be gone.
  ns.bdev().watch([this, index = subsystem.index(), nsid = ns.nsid()] {
    home().post([this, index, nsid] { device_changed(index, nsid); });
  });
}

void Target::device_changed(uint32_t index, uint32_t nsid) {
  const auto found = std::ranges::find(subsystems_, index, [](const auto& each) { return each->index(); });
  if (found == subsystems_.end()) return;
  Subsystem& subsystem = **found;
  const auto settled = find_settled(subsystem, nsid);
  if (!settled) return;
  Namespace& ns = **settled;
  const auto available = ns.bdev().blocks_available();
  if (!available) return hide(subsystem, ns, available.error());
  const uint64_t before = ns.info().block_count;
  const uint64_t block_count = ns.follow_device(*available);
  if (block_count != before) {
    WEFT_PROBE("nvmf/device-resized");
    home().log().warn("{}: namespace {} has {} blocks now, instead of {}", ns.info().name, nsid, block_count, before);
    resize_namespace(subsystem, nsid, block_count, [](Result<void>) {});
  }
  if (ns.stage() == Namespace::Stage::kAway) show(subsystem, ns);
}

/// What its device has ends by itself; hosts find that the namespace has gone.
void Target::hide(Subsystem& subsystem, Namespace& ns, const Error& why) {
  if (ns.stage() == Namespace::Stage::kAway) return;
  WEFT_PROBE("nvmf/device-away");
  home().log().error("{}: namespace {} is hidden until its device is back: {}", ns.info().name, ns.nsid(), why.what());
  ns.enter(Namespace::Stage::kAway);
  on_every_shard([&subsystem, nsid = ns.nsid()](Shard& shard) { shard.remove_namespace(subsystem, nsid, [] {}); },
                 [this, &subsystem, nsid = ns.nsid()] { announce(subsystem, nsid); });
}

/// To hosts it is one that has just come, and what a failed flush of the time before has lost is no news to them.
void Target::show(Subsystem& subsystem, Namespace& ns) {
  ns.clear_failure();
  ns.enter(Namespace::Stage::kComing);
  auto results = std::make_unique<std::vector<Result<void>>>(shards_.size());
  auto& opened = *results;
  on_every_shard([&subsystem, &ns, &opened](Shard& shard) { opened[shard.index()] = shard.add_namespace(subsystem, ns); },
                 [this, &subsystem, &ns, results = std::move(results)] {
                   if (subsystem.is_leaving()) return withdraw(subsystem, ns.nsid(), [](Result<void>) {});
                   ns.enter(Namespace::Stage::kThere);
                   const auto failed = std::ranges::find_if(*results, [](const auto& result) { return !result; });
                   if (failed != results->end()) return hide(subsystem, ns, failed->error());
                   home().log().warn("{}: namespace {} is there again", ns.info().name, ns.nsid());
                   announce(subsystem, ns.nsid());
                   device_changed(subsystem.index(), ns.nsid());  // it may have gone again
                 });
}

Result<void> Target::clear_failure(Subsystem& subsystem, uint32_t nsid) {
  const auto found = find_settled(subsystem, nsid);
  if (!found) return std::unexpected(found.error());
  Namespace* ns = *found;
  if (ns->is_failed()) home().log().warn("{}: namespace {} serves again: its failure was cleared", ns->info().name, nsid);
  ns->clear_failure();
  return {};
}

void Target::announce(Subsystem& subsystem, uint32_t nsid) {
  subsystem.registry().for_each([nsid](Controller& controller) {
    controller.reactor().post([&controller, nsid] { controller.namespace_changed(nsid); });
  });
}

// --- who may connect, and where -------------------------------------------------------------------------------------------------------------

void Target::set_access(Subsystem& subsystem, HostAccess access, Done done) {
  if (subsystem.is_leaving()) return done(fail(Errc::kNotFound, kNoSubsystem));
  subsystem.set_access(access);
  change_discovery([&subsystem, access = std::move(access)](Shard& shard) { shard.view(subsystem).access = access; },
                   [this, &subsystem, done = std::move(done)]() mutable {
                     // Whoever connects from now on is asked by the new rules; a Connect that was let in by the old ones is asked again
                     // when it registers here (Subsystem::admits()).
                     end_associations(subsystem, CloseReason::kHostNotAllowed, [done = std::move(done)]() mutable { done({}); });
                   });
}

void Target::set_listeners(std::vector<ListenerRecord> listeners, std::move_only_function<void()> done) {
  discovery_facts_.listeners = std::move(listeners);
  change_discovery([](Shard&) {}, std::move(done));
}

void Target::change_discovery(std::function<void(Shard&)> on_shard, std::move_only_function<void()> then) {
  ++discovery_facts_.generation;
  on_every_shard(
      [on_shard = std::move(on_shard), facts = discovery_facts_](Shard& shard) {
        on_shard(shard);
        shard.set_discovery(facts);
      },
      [this, then = std::move(then)]() mutable {
        discovery().registry().for_each([](Controller& controller) {
          controller.reactor().post([&controller] { controller.discovery_changed(); });
        });
        then();
      });
}

void Target::end_associations(Subsystem& subsystem, CloseReason reason, std::move_only_function<void()> then) {
  Registry& registry = subsystem.registry();
  std::vector<uint16_t> ending;
  registry.for_each_association([&](uint16_t cntlid, const Registry::Association& association) {
    if (subsystem.admits(association.host.nqn, association.is_loopback).ok()) return;
    ending.push_back(cntlid);
    if (association.is_dying) return;
    WEFT_PROBE("nvmf/change-ends-association");
    Controller& controller = *association.controller;
    controller.reactor().post([&controller, reason] { controller.end(reason); });
  });
  // By message: what destroys the last controller on its shard is posted after this is called.
  registry.after_gone(std::move(ending), [this, then = std::move(then)]() mutable { home().post(std::move(then)); });
}

// --- subsystems -----------------------------------------------------------------------------------------------------------------------------

Result<Subsystem*> Target::create_subsystem(SubsystemConfig config) {
  const auto has_name = [&](const auto& other) { return !other->is_leaving() && other->config().nqn == config.nqn; };
  if (std::ranges::any_of(subsystems_, has_name)) return fail(Errc::kExists, config.nqn);
  subsystems_.push_back(std::make_unique<Subsystem>(next_subsystem_++, SubsystemKind::kNvm, std::move(config), limits_.controllers));
  return subsystems_.back().get();
}

void Target::add_subsystem(SubsystemConfig config, std::move_only_function<void(Result<Subsystem*>)> done) {
  const auto created = create_subsystem(std::move(config));
  if (!created) return done(created);
  Subsystem& subsystem = **created;
  change_discovery([&subsystem, access = subsystem.access()](Shard& shard) { shard.add_view(subsystem, access); },
                   [&subsystem, done = std::move(done)]() mutable { done(&subsystem); });
}

void Target::remove_subsystem(Subsystem& subsystem, Done done) {
  if (subsystem.is_discovery()) return done(fail(Errc::kInvalid, "the discovery subsystem stays"));
  if (subsystem.is_leaving()) return done(fail(Errc::kNotFound, kNoSubsystem));
  subsystem.leave();
  auto bounded = Bounded::within(home(), milliseconds(limits_.removal_ms),
                                 "the subsystem is hidden, but a command still uses one of its devices", std::move(done));
  change_discovery([&subsystem](Shard& shard) { shard.view(subsystem).is_leaving = true; },
                   [this, &subsystem, done = std::move(bounded)]() mutable {
                     // Every Connect that has found it is here by now: registered, or waiting for its host's old association.
                     subsystem.registry().give_up_all();
                     end_associations(subsystem, CloseReason::kSubsystemRemoved, [this, &subsystem, done = std::move(done)]() mutable {
                       remove_namespaces(subsystem, std::move(done));
                     });
                   });
}

void Target::remove_namespaces(Subsystem& subsystem, Done done) {
  std::vector<uint32_t> there;
  for (const auto& [nsid, ns] : subsystem.namespaces()) {
    if (ns->stage() == Namespace::Stage::kThere || ns->stage() == Namespace::Stage::kAway) there.push_back(nsid);
  }
  for (const uint32_t nsid : there) withdraw(subsystem, nsid, [](Result<void>) {});
  // With those that were coming or going already. Controllers of refused Connects are gone when every shard has answered once more.
  subsystem.when_empty([this, &subsystem, done = std::move(done)]() mutable {
    on_every_shard([&subsystem](Shard& shard) { shard.remove_view(subsystem); },
                   [this, &subsystem, done = std::move(done)]() mutable {
                     std::erase_if(subsystems_, [&](const auto& each) { return each.get() == &subsystem; });
                     done({});
                   });
  });
}

}  // namespace weft::nvmf
