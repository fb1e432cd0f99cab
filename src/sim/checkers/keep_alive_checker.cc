#include "sim/checkers/keep_alive_checker.h"

#include "base/bytes.h"
#include "core/limits.h"
#include "wire/fabrics/connect.h"
#include "wire/nvme/features.h"
#include "wire/nvme/registers.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <optional>

namespace weft::sim {
namespace {

/// The controller asks its other queues' reactors before it ends; what comes while the question is under way is too
/// late.
constexpr Duration kQuestion = milliseconds(5);

/// KATO as the controller takes it: rounded up to KAS, which is a second.
Duration rounded(uint32_t kato_ms) { return seconds((int64_t{kato_ms} + 999) / 1000); }

/// How long a connection stays for responses that do not leave, and then until its reactor has looked.
constexpr Duration kLinger = milliseconds(Limits{}.rdma_linger_ms + 100);

/// How long a target puts up with a host that takes nothing (sim/plan.cc: stalled_send_ms).
constexpr Duration kBacklogMax = milliseconds(3100);

constexpr std::string_view kExpires = ": nothing was heard of host";
constexpr std::string_view kEnds = ": the association ends: ";

struct Subject {
  uint16_t cntlid;
  std::string subnqn;
};

/// "controller 3 of nqn…: nothing was heard of host …", "controller 3 of nqn…: host …: the association ends: subsystem removed"
std::optional<Subject> subject_of(std::string_view line, std::string_view words) {
  constexpr std::string_view kStart = "controller ", kOf = " of ";
  const size_t of = line.find(kOf);
  const size_t says = line.find(words) == std::string_view::npos ? std::string_view::npos : line.find(": ", of);
  if (!line.starts_with(kStart) || says == std::string_view::npos || of == std::string_view::npos) return std::nullopt;
  Subject subject{};
  std::from_chars(line.data() + kStart.size(), line.data() + of, subject.cntlid);
  subject.subnqn = line.substr(of + kOf.size(), says - of - kOf.size());
  return subject;
}

/// What a Property Set of CC writes, if that is what it is.
std::optional<nvme::Cc> written_cc(const nvme::Sqe& sqe) {
  const bool is_set =
      sqe.opcode == nvme::kFabricsOpcode && fabrics::Fctype(sqe.fctype()) == fabrics::Fctype::kPropertySet;
  const auto& property = *view<fabrics::PropertySqe>(bytes_of(sqe));
  if (!is_set || property.ofst != nvme::property::kCc) return std::nullopt;
  return nvme::Cc{uint32_t(property.value)};
}

bool sets_kato(const nvme::Sqe& sqe) {
  return nvme::AdminOpcode(sqe.opcode) == nvme::AdminOpcode::kSetFeatures &&
         nvme::Feature(uint8_t(sqe.cdw10)) == nvme::Feature::kKeepAliveTimer;
}

}  // namespace

KeepAliveChecker::Association* KeepAliveChecker::find(const WireQueue& queue) {
  const auto found = by_queue_.find(queue.id);
  return found == by_queue_.end() ? nullptr : found->second;
}

void KeepAliveChecker::heard(Association& association, Instant latest, Instant earliest) {
  association.latest = std::max(association.latest, latest);
  auto& times = association.earliest;
  if (!times.empty() && earliest <= times.back()) return;
  times.push_back(earliest);
  while (times.size() > 1 && earliest - times[1] >= kQuestion) times.pop_front();
}

void KeepAliveChecker::on_connected(const WireQueue& queue, Instant now) {
  if (queue.is_admin()) {
    associations_[key_of(queue)] = {.name = queue.name, .admin_queue = queue.id, .kato = rounded(queue.kato_ms)};
  }
  const auto found = associations_.find(key_of(queue));
  if (found == associations_.end()) return;
  by_queue_[queue.id] = &found->second;
  heard(found->second, now, now);
}

void KeepAliveChecker::on_command_taken(const WireQueue& queue, const WireCommand& command, Instant now) {
  Association* association = find(queue);
  if (association == nullptr) return;
  heard(*association, now, now);
  if (command.in_capsule_bytes > 0) association->stallable.emplace(queue.id, uint16_t{command.sqe.cid});
  if (const auto cc = written_cc(command.sqe); cc && queue.is_admin() && cc->shn() != 0) association->is_stopped = true;
}

void KeepAliveChecker::on_completion(const WireQueue& queue, const WireCompletion& completion, Instant now) {
  Association* association = find(queue);
  if (association == nullptr) return;
  heard(*association, now, completion.not_before);
  association->stallable.erase({queue.id, uint16_t{completion.cqe.cid}});
  if (completion.sqe == nullptr || !queue.is_admin() || !completion.cqe.decoded_status().ok()) return;
  if (const auto cc = written_cc(*completion.sqe); cc && cc->en() && cc->shn() == 0) association->is_stopped = false;
  if (sets_kato(*completion.sqe)) association->kato = rounded(completion.sqe->cdw11);
}

void KeepAliveChecker::on_backlog(const WireQueue& queue, bool is_there) {
  Association* association = find(queue);
  if (association == nullptr) return;
  if (is_there) {
    association->backlogs.insert(queue.id);
  } else {
    association->backlogs.erase(queue.id);
  }
}

void KeepAliveChecker::on_closed(const WireQueue& queue, Side by, Instant now) {
  Association* association = find(queue);
  if (association == nullptr || by != Side::kTarget) return;
  association->latest = now;  // the target may have completed commands whose responses could not leave
  std::erase_if(association->stallable, [&](const auto& command) { return command.first == queue.id; });
  association->backlogs.erase(queue.id);
  by_queue_.erase(queue.id);
  if (association->admin_queue != queue.id) return;
  std::erase_if(by_queue_, [&](const auto& entry) { return entry.second == association; });
  associations_.erase(key_of(queue));
}

void KeepAliveChecker::on_log(size_t target_machine, std::string_view line, Instant now) {
  if (const auto ended = subject_of(line, kEnds); ended && !line.ends_with("keep-alive expired")) {
    const auto found = associations_.find({target_machine, ended->subnqn, ended->cntlid});
    if (found != associations_.end()) found->second.lingers_until = now + kLinger;
    return;
  }
  const auto expiry = subject_of(line, kExpires);
  if (!expiry) return;
  const auto found = associations_.find({target_machine, expiry->subnqn, expiry->cntlid});
  if (found == associations_.end()) return;  // its Connect has not been answered
  const Association& association = found->second;
  if (association.kato == Duration{}) {
    if (expiry->subnqn == fabrics::kDiscoveryNqn) return;  // those have a limit of their own
    return referee_.fail("keep-alive", fmt::format("{}: ended for silence, but KATO is 0", association.name));
  }
  if (association.is_stopped || !association.stallable.empty() || stalls_.is_recent(target_machine, now)) return;
  Instant last = association.earliest.front();
  for (const Instant event : association.earliest) {
    if (now - event >= kQuestion) last = event;
  }
  const Duration silence = now - last;
  if (silence >= association.kato * 5 / 4) return;
  referee_.fail("keep-alive", fmt::format("{}: early: ended after {} ms of silence, KATO is {} ms", association.name,
                                          silence.milliseconds(), association.kato.milliseconds()));
}

void KeepAliveChecker::check(Instant now) {
  for (const auto& [key, association] : associations_) {
    if (association.kato == Duration{} || association.is_stopped || !association.stallable.empty()) continue;
    const Duration unseen = association.backlogs.empty() ? Duration{} : kBacklogMax;
    const Instant due = std::max(association.latest + unseen + association.kato * 3 / 2, association.lingers_until);
    if (now <= stalls_.excuse(key.target_machine, due)) continue;
    referee_.fail("keep-alive",
                  fmt::format("{}: late: still there after {} ms of silence, KATO is {} ms", association.name,
                              (now - association.latest).milliseconds(), association.kato.milliseconds()));
  }
}

}  // namespace weft::sim
