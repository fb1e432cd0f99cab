#include "sim/world.h"

#include <fmt/format.h>

namespace weft::sim {
namespace {

constexpr Duration kRecoveryLimit = seconds(60);  // faults are over: until every host works again
constexpr Duration kEndLimit = seconds(30);       // until every process has ended in order
constexpr Duration kReadBackLimit = seconds(120);  // until all has been read again: thousands of reads, of 20 ms each on the slowest lines
constexpr Duration kQuietLimit = seconds(20);     // the hosts are gone: until the targets have let go of everything

}  // namespace

World::World(const Plan& plan, Trace::Print print, Graveyard& graveyard)
    : plan_(plan),
      agenda_(plan.seed ^ 1),
      trace_(print),
      network_(agenda_, plan.seed ^ 2, trace_, checkers_.taps()),
      rdma_({agenda_, trace_, referee_, network_, &checkers_.rdma_taps(agenda_)}, plan.seed ^ 5),
      setting_{agenda_, trace_, referee_, network_, rdma_, graveyard},
      stranger_(setting_, plan.targets.size() + plan.hosts.size(), plan.seed ^ 3) {
  Prng random{plan.seed ^ 4};
  // Machines in the network: the targets, then the hosts, then the stranger.
  checkers_.distrust(plan.targets.size() + plan.hosts.size());
  for (size_t i = 0; i < plan.targets.size(); ++i) checkers_.set_limits(i, plan.targets[i].limits);
  std::vector<std::string> host_nqns;
  for (size_t i = 0; i < plan.hosts.size(); ++i)
    host_nqns.push_back(HostMachine::identity_of(plan.targets.size() + i).nqn);
  for (size_t i = 0; i < plan.targets.size(); ++i) {
    targets_.push_back(
        std::make_unique<TargetMachine>(setting_, TargetMachine::Options{.machine = i,
                                                                         .plan = plan.targets[i],
                                                                         .host_nqns = host_nqns,
                                                                         .seed = random.next(),
                                                                         .on_log = [this, i](std::string_view line) { checkers_.on_log(i, line, agenda_.now()); }}));
  }
  uint32_t sessions = 1;
  for (size_t i = 0; i < plan.hosts.size(); ++i) {
    hosts_.push_back(std::make_unique<HostMachine>(
        setting_,
        HostMachine::Options{
            .machine = plan.targets.size() + i, .plan = plan.hosts[i], .targets = targets_, .first_session = sessions, .is_network_corrupting = plan.faults.network.corrupt_one_in > 0, .seed = random.next()}));
    sessions += uint32_t(plan.hosts[i].associations.size());
  }
  faults_ = std::make_unique<Faults>(setting_, Faults::Stage{targets_, hosts_, stranger_, checkers_}, plan.faults, random.next());
}

World::~World() {
  // Nothing that is planned may find its world half gone.
  agenda_.clear();
}

template <typename F>
bool World::run_until(Duration limit, F is_done) {
  const Instant end = agenda_.now() + limit;
  while (!referee_.finding() && !is_done()) {
    if (agenda_.next() > end) return false;
    agenda_.step();
  }
  return !referee_.finding();
}

Report World::run() {
  const Instant start = agenda_.now();
  for (const auto& target : targets_) target->start();
  for (const auto& host : hosts_) host->start();
  faults_->start();
  check_now_and_then();
  run_until(plan_.faults.duration, [] { return false; });
  if (!referee_.finding()) {
    faults_->heal();
    trace_.note(agenda_.now(), "world: faults are over");
    const Instant healed = agenda_.now();
    for (const auto& host : hosts_) host->prove_work_since(healed);
    if (!run_until(kRecoveryLimit, [&] { return has_recovered(healed); })) report_stuck(healed);
  }
  if (!referee_.finding()) read_back();
  if (!referee_.finding()) end_hosts();
  if (!referee_.finding()) end_targets();
  if (referee_.finding()) bury_all();
  uint64_t commands = 0, associations = 0;
  for (const auto& host : hosts_) {
    commands += host->commands();
    associations += host->associations();
  }
  Report report{.finding = referee_.finding(),
                .hash = trace_.hash(), .commands = commands, .associations = associations, .faults = faults_->count(),
                .simulated = agenda_.now() - start};
  return report;
}

void World::check_now_and_then() {
  checkers_.check(agenda_.now());
  rdma_.check();
  agenda_.after(WireCheckers::kCheckEvery, [this] { check_now_and_then(); });
}

bool World::has_recovered(Instant since) const {
  for (const auto& target : targets_) {
    if (!target->what_is_missing().empty()) return false;
  }
  for (const auto& host : hosts_) {
    if (host->process() == nullptr) return false;
    for (const auto& session : host->sessions()) {
      if (!session->has_worked_since(since)) return false;
    }
  }
  return true;
}

/// Says who does not come back.
void World::report_stuck(Instant since) {
  for (const auto& target : targets_) {
    const std::string missing = target->what_is_missing();
    if (missing.empty()) continue;
    return referee_.fail("liveness", fmt::format("{} s after the last fault, target {}: {}", kRecoveryLimit.ns / 1'000'000'000, target->machine(), missing));
  }
  for (const auto& host : hosts_) {
    for (const auto& session : host->sessions()) {
      if (session->has_worked_since(since)) continue;
      return referee_.fail("liveness", fmt::format("{} s after the last fault, host {} {} (target {})", kRecoveryLimit.ns / 1'000'000'000, host->machine(),
                                                   session->state(), session->plan().target));
    }
  }
}

/// Everything that was ever written is looked at once more, by every host. What a fault has made slow may still end an association: then the
/// next one reads.
void World::read_back() {
  size_t missing = 0;
  const auto is_done = [&] {
    missing = 0;
    for (const auto& host : hosts_) {
      for (const auto& session : host->sessions()) missing += session->read_back() ? 0 : 1;
    }
    return missing == 0;
  };
  if (run_until(kReadBackLimit, is_done)) return;
  referee_.fail("liveness", fmt::format("{} sessions do not get to read all that they wrote, without any fault", missing));
}

void World::end_hosts() {
  size_t missing = hosts_.size();
  for (const auto& host : hosts_) host->shut_down([&missing] { --missing; });
  if (!run_until(kEndLimit, [&] { return missing == 0; }))
    referee_.fail("liveness", fmt::format("{} hosts cannot end in order", missing));
}

void World::end_targets() {
  // With the hosts gone, nothing of them may be left in the targets.
  const auto is_quiet = [&] {
    return std::ranges::all_of(targets_, [](const auto& target) { return target->what_is_left().empty(); });
  };
  if (!run_until(kQuietLimit, is_quiet)) {
    for (const auto& target : targets_) {
      if (auto left = target->what_is_left(); !left.empty())
        referee_.fail("leak", fmt::format("target {}, its hosts gone: {}", target->machine(), left));
    }
    return;
  }
  size_t missing = targets_.size();
  for (const auto& target : targets_) target->shut_down([&missing] { --missing; });
  if (!run_until(kEndLimit, [&] { return missing == 0; }))
    referee_.fail("liveness", fmt::format("{} targets cannot end in order", missing));
  if (!referee_.finding() && network_.open_connections() > 0)
    referee_.fail("leak", fmt::format("{} connections are open at the end", network_.open_connections()));
  if (!referee_.finding() && rdma_.open_connections() + rdma_.devices_in_use() > 0) {
    referee_.fail("leak", fmt::format("{} queue pairs and {} domains are left at the end", rdma_.open_connections(), rdma_.devices_in_use()));
  }
}

/// After a finding the world stops where it is.
void World::bury_all() {
  agenda_.clear();
  for (const auto& host : hosts_) host->bury();
  for (const auto& target : targets_) target->bury();
}

}  // namespace weft::sim
