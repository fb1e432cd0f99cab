// What an administrator does to a target while it serves: namespaces, access, listeners and subsystems come and go.
#include "base/assert.h"
#include "sim/target_machine.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::sim {
namespace {

constexpr Duration kRetryPause = milliseconds(10);
constexpr Duration kLook = milliseconds(50);  // how often it is looked whether something has happened

std::string_view outcome(const Result<void>& result) { return result ? "ok" : result.error().what(); }

}  // namespace

/// `action` on the home reactor, if the process still serves then, and faults are not over meanwhile.
template <typename F>
void TargetMachine::on_home(F action) {
  if (!is_serving()) return;
  process_->target().home().post([this, action = std::move(action), life = life_, era = era_]() mutable {
    if (life == life_ && era == era_ && is_serving()) action();
  });
}

// --- namespaces
// ---------------------------------------------------------------------------------------------------------

bool TargetMachine::has_namespace(size_t subsystem, size_t index) {
  if (process_ == nullptr || !process_->has_target() || groups_[subsystem].subsystem == nullptr) return false;
  const auto& namespaces = groups_[subsystem].subsystem->namespaces();
  const auto found = namespaces.find(uint32_t(index + 1));
  return found != namespaces.end() && !found->second->is_leaving();
}

void TargetMachine::add_namespace(size_t subsystem, size_t index) {
  on_home([this, subsystem, index] {
    if (groups_[subsystem].subsystem == nullptr || has_namespace(subsystem, index)) return;
    if (std::exchange(place(subsystem, index).is_being_added, true)) return;
    add(subsystem, index, [this, subsystem, index, life = life_](const Result<void>& added) {
      if (life != life_) return;
      place(subsystem, index).is_being_added = false;
      // An older one of that number may still be leaving; whoever asks meanwhile waits for the same.
      if (!added && !std::exchange(place(subsystem, index).is_retrying, true)) {
        setting_.agenda.after(kRetryPause, [this, subsystem, index] {
          place(subsystem, index).is_retrying = false;
          add_namespace(subsystem, index);
        });
      }
      setting_.trace.note(setting_.agenda.now(), "target {}: namespace {}.{} added: {}", machine(), subsystem,
                          index + 1, outcome(added));
    });
  });
}

void TargetMachine::remove_namespace(size_t subsystem, size_t index) {
  on_home([this, subsystem, index] {
    if (!has_namespace(subsystem, index)) return;
    expect(place(subsystem, index), {ErrorKind::kGone});
    process_->target().remove_namespace(*groups_[subsystem].subsystem, uint32_t(index + 1),
                                        [this, subsystem, index, life = life_](const Result<void>& removed) {
                                          setting_.trace.note(setting_.agenda.now(),
                                                              "target {}: namespace {}.{} removed: {}", machine(),
                                                              subsystem, index + 1, outcome(removed));
                                          setting_.agenda.after({}, [this, life] {
                                            if (life == life_) crash_if_something_was_lost();
                                          });
                                        });
  });
}

void TargetMachine::resize_namespace(size_t subsystem, size_t index, uint64_t blocks) {
  on_home([this, subsystem, index, blocks] {
    Place& place = this->place(subsystem, index);
    if (place.nvme != nullptr) return;  // its size is the device's
    if (!has_namespace(subsystem, index) || place.is_being_added || place.is_being_resized || place.blocks == blocks)
      return;
    place.is_being_resized = true;
    place.blocks = blocks;
    place.volume->start_resize(blocks);
    process_->target().resize_namespace(*groups_[subsystem].subsystem, uint32_t(index + 1), blocks,
                                        [this, &place, subsystem, index, life = life_](const Result<void>& resized) {
                                          if (life != life_) return;
                                          WEFT_ASSERT(resized.has_value());
                                          setting_.trace.note(setting_.agenda.now(),
                                                              "target {}: namespace {}.{} has {} blocks", machine(),
                                                              subsystem, index + 1, place.blocks);
                                          place.is_being_resized = false;
                                          place.volume->finish_resize();
                                        });
  });
}

// --- subsystems
// ---------------------------------------------------------------------------------------------------------

nvmf::SubsystemConfig TargetMachine::config_of(size_t subsystem) const {
  nvmf::SubsystemConfig config{
      .nqn = plan().subsystems[subsystem].nqn, .serial = "SIM", .access = {.hosts = options_.host_nqns}};
  std::erase_if(config.access.hosts,
                [&](const std::string& host) { return groups_[subsystem].forbidden.contains(host); });
  return config;
}

void TargetMachine::add_subsystem(size_t subsystem) {
  on_home([this, subsystem] {
    Group& group = groups_[subsystem];
    if (group.subsystem != nullptr || std::exchange(group.is_changing, true)) return;
    process_->target().add_subsystem(
        config_of(subsystem), [this, &group, subsystem, life = life_](const Result<nvmf::Subsystem*>& added) {
          if (life != life_) return;
          WEFT_ASSERT(added.has_value());
          setting_.trace.note(setting_.agenda.now(), "target {}: subsystem {} added", machine(), subsystem);
          group.is_changing = false;
          group.subsystem = *added;
          for (size_t index = 0; index < group.places.size(); ++index) add_namespace(subsystem, index);
          tell_admission(subsystem);
        });
  });
}

void TargetMachine::remove_subsystem(size_t subsystem) {
  on_home([this, subsystem] {
    Group& group = groups_[subsystem];
    if (group.subsystem == nullptr || std::exchange(group.is_changing, true)) return;
    nvmf::Subsystem& leaving = *std::exchange(group.subsystem, nullptr);
    for (Place& place : group.places) expect(place, {ErrorKind::kGone});
    const uint32_t index = leaving.index();
    process_->target().remove_subsystem(leaving, [this, subsystem, index, life = life_](const Result<void>& removed) {
      setting_.trace.note(setting_.agenda.now(), "target {}: subsystem {} removed: {}", machine(), subsystem,
                          outcome(removed));
      setting_.agenda.after({}, [this, subsystem, index, life] {
        if (life == life_) await_end_of(subsystem, index);
      });
    });
  });
}

/// The removal is answered before a device that hangs has let go; only then can another subsystem have its disks.
void TargetMachine::await_end_of(size_t subsystem, uint32_t index) {
  const auto is_it = [index](const auto& each) { return each->index() == index; };
  if (std::ranges::any_of(process_->target().subsystems(), is_it)) {
    return setting_.agenda.after(kLook, [this, subsystem, index, life = life_] {
      if (life == life_) await_end_of(subsystem, index);
    });
  }
  groups_[subsystem].is_changing = false;
  crash_if_something_was_lost();
}

// --- access and listeners
// -----------------------------------------------------------------------------------------------

void TargetMachine::set_admission(size_t subsystem, const std::string& host_nqn, bool is_admitted) {
  Group& group = groups_[subsystem];
  if (is_admitted) {
    group.forbidden.erase(host_nqn);
  } else {
    // A target that has the subsystem, or is about to, still goes by what it was told before.
    const bool is_known = is_serving() || group.subsystem != nullptr || group.is_changing;
    group.forbidden.emplace(host_nqn, is_known ? Instant::never() : setting_.agenda.now());
  }
  group.is_to_be_told = true;
  on_home([this, subsystem] { tell_admission(subsystem); });
}

void TargetMachine::tell_admission(size_t subsystem) {
  Group& group = groups_[subsystem];
  if (group.subsystem == nullptr) return;
  group.is_to_be_told = false;
  process_->target().set_access(
      *group.subsystem, config_of(subsystem).access,
      [this, &group, subsystem, life = life_, change = ++group.changes](const Result<void>& set) {
        setting_.trace.note(setting_.agenda.now(), "target {}: access to subsystem {} changed: {}", machine(),
                            subsystem, outcome(set));
        if (life != life_ || change != group.changes || group.subsystem == nullptr || !set) return;
        for (auto& [host, since] : group.forbidden) {
          if (since == Instant::never()) since = setting_.agenda.now();
        }
        if (group.subsystem == nullptr) return;  // it was removed meanwhile
        group.subsystem->registry().for_each_association(
            [&](uint16_t cntlid, const nvmf::Registry::Association& association) {
              if (!group.forbidden.contains(association.host.nqn)) return;
              setting_.referee.fail(
                  "association", fmt::format("target {}: controller {} of {} is there, though the host was forbidden",
                                             machine(), cntlid, association.host.nqn));
            });
      });
}

std::optional<Instant> TargetMachine::forbidden_since(size_t subsystem, const std::string& host_nqn) const {
  const auto& forbidden = groups_[subsystem].forbidden;
  const auto found = forbidden.find(host_nqn);
  if (found == forbidden.end() || found->second == Instant::never()) return std::nullopt;
  return found->second;
}

void TargetMachine::listen() {
  on_home([this] {
    if (listening_) return;
    const net::Address address = Network::address_of(machine(), kPort);
    const auto bound = process_->listen(address);
    WEFT_ASSERT(bound.has_value());
    listening_ = address;
    process_->target().set_listeners({{.host = address.host, .port = address.port}, {.type = nvmf::TransportType::kRdma, .host = address.host, .port = address.port}}, [] {});
    setting_.trace.note(setting_.agenda.now(), "target {}: listens", machine());
  });
}

void TargetMachine::unlisten() {
  on_home([this] {
    if (!listening_) return;
    process_->unlisten(*std::exchange(listening_, std::nullopt));
    process_->target().set_listeners({}, [] {});
    setting_.trace.note(setting_.agenda.now(), "target {}: listens no more", machine());
  });
}

// --- all of it
// ----------------------------------------------------------------------------------------------------------

void TargetMachine::heal() {
  ++era_;
  restore_power();
  want_everything();
}

void TargetMachine::want_everything() {
  listen();
  for (size_t subsystem = 0; subsystem < groups_.size(); ++subsystem) {
    Group& group = groups_[subsystem];
    add_subsystem(subsystem);
    if (!std::exchange(group.forbidden, {}).empty()) group.is_to_be_told = true;
    if (group.is_to_be_told) on_home([this, subsystem] { tell_admission(subsystem); });
    for (size_t index = 0; index < group.places.size(); ++index) {
      Place& place = group.places[index];
      place.plan.is_there_at_start = true;
      if (place.is_disk_well && !place.expected.empty() && has_namespace(subsystem, index)) reopen(subsystem, index);
      add_namespace(subsystem, index);
      resize_namespace(subsystem, index, place.plan.blocks);
    }
  }
  // What is being removed now is added when it has gone; a process that is about to start adds all of its own.
  setting_.agenda.after(kLook, [this] {
    if (!what_is_missing().empty()) want_everything();
  });
}

std::string TargetMachine::what_is_missing() {
  if (!is_serving()) return "it does not serve";
  if (!listening_) return "it does not listen";
  for (size_t subsystem = 0; subsystem < groups_.size(); ++subsystem) {
    const Group& group = groups_[subsystem];
    if (group.subsystem == nullptr) return fmt::format("subsystem {} is not there", subsystem);
    if (!group.forbidden.empty() || group.is_to_be_told) return fmt::format("a host is forbidden on subsystem {}", subsystem);
    for (size_t index = 0; index < group.places.size(); ++index) {
      const Place& place = group.places[index];
      const std::string name = fmt::format("namespace {}.{}", subsystem, index + 1);
      if (!has_namespace(subsystem, index)) return name + " is not there";
      if (!place.expected.empty()) return name + " was not opened since its disk is well";
      if (place.is_being_resized || place.blocks != place.plan.blocks) return name + " is too small";
    }
  }
  return {};
}

}  // namespace weft::sim
