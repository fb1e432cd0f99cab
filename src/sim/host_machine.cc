#include "sim/host_machine.h"

#include <fmt/format.h>

namespace weft::sim {
namespace {

constexpr Duration kRestartPause = milliseconds(100);

}  // namespace

host::HostIdentity HostMachine::identity_of(size_t machine) {
  Uuid id{};
  id.bytes[0] = uint8_t(0xa0 + machine);
  id.bytes[15] = 1;
  return host::identity_from(id);
}

HostMachine::HostMachine(const Setting& setting, Options options)
    : setting_(setting), options_(std::move(options)), random_(options_.seed) {}

void HostMachine::start() {
  WEFT_ASSERT(process_ == nullptr);
  ++life_;
  process_ = std::make_unique<HostProcess>(setting_, machine(), options_.plan, random_.next());
  for (const AssociationPlan& association : options_.plan.associations) {
    const Session::Options session{.host = machine(),
                                   .number = options_.first_session + uint32_t(sessions_.size()),
                                   .plan = association,
                                   .target = *options_.targets[association.target],
                                   .is_network_corrupting = options_.is_network_corrupting,
                                   .seed = random_.next()};
    sessions_.push_back(std::make_unique<Session>(setting_, *process_, session));
    if (proof_since_) sessions_.back()->prove_work_since(*proof_since_);
    sessions_.back()->start();
  }
}

void HostMachine::prove_work_since(Instant since) {
  proof_since_ = since;
  for (auto& session : sessions_) session->prove_work_since(since);
}

void HostMachine::crash() {
  if (process_ == nullptr || is_ending_) return;
  setting_.trace.note(setting_.agenda.now(), "host {}: crashes", machine());
  for (auto& session : sessions_) session->die();
  bury();
  setting_.network.process_died(machine());
  setting_.rdma.process_died(machine());
  setting_.agenda.after(kRestartPause, [this, life = life_] {
    if (life == life_) start();
  });
}

void HostMachine::fade() {
  if (process_ != nullptr) sessions_[random_.below(sessions_.size())]->fade();
}

uint64_t HostMachine::commands() const {
  uint64_t sum = past_commands_;
  for (const auto& session : sessions_) sum += session->commands();
  return sum;
}

uint64_t HostMachine::associations() const {
  uint64_t sum = past_associations_;
  for (const auto& session : sessions_) sum += session->associations();
  return sum;
}

void HostMachine::bury() {
  ++life_;
  if (process_ == nullptr) return;
  past_commands_ = commands();
  past_associations_ = associations();
  process_->die();
  for (auto& session : sessions_) setting_.graveyard.bury(std::move(session));
  sessions_.clear();
  setting_.graveyard.bury(std::move(process_));
}

void HostMachine::shut_down(std::function<void()> done) {
  is_ending_ = true;
  auto missing = std::make_shared<size_t>(sessions_.size());
  for (auto& session : sessions_) {
    session->end([this, missing, done] {
      if (--*missing > 0) return;
      past_commands_ = commands();
      past_associations_ = associations();
      sessions_.clear();
      process_->close([this, done] {
        process_.reset();
        done();
      });
    });
  }
}

}  // namespace weft::sim
