// The checkers that listen to the wire, together, with what else they must be told: what targets log, and when a target was kept from its turns.
#pragma once
#include <string_view>

#include "sim/agenda.h"
#include "sim/checkers/association_checker.h"
#include "sim/checkers/completion_checker.h"
#include "sim/checkers/keep_alive_checker.h"
#include "sim/checkers/limits_checker.h"
#include "sim/checkers/wire_watch.h"

namespace weft::sim {

class WireCheckers {
 public:
  /// Outlives: the referee outlives it. Outlives the network.
  explicit WireCheckers(Referee& referee) : watch_(referee), completions_(referee), keep_alives_(referee), limits_(referee), associations_(referee) {
    for (WireEvents* checker : std::initializer_list<WireEvents*>{&completions_, &keep_alives_, &limits_, &associations_}) watch_.add(*checker);
  }

  WireTaps& taps() { return watch_; }
  /// For connections over RDMA, at the time of `agenda`.
  RdmaTaps& rdma_taps(const Agenda& agenda) {
    watch_.set_agenda(agenda);
    return watch_;
  }
  /// `host_machine` is no host that keeps to rules: only the targets' bytes on its connections are judged.
  void distrust(size_t host_machine) { watch_.distrust(host_machine); }
  void set_limits(size_t target_machine, const Limits& limits) { limits_.set(target_machine, limits); }
  void on_log(size_t target_machine, std::string_view line, Instant now) { keep_alives_.on_log(target_machine, line, now); }
  /// Until `until` a reactor of the target gets no turn, or a host takes nothing of it.
  void on_stall(size_t target_machine, Instant until) {
    keep_alives_.on_stall(target_machine, until);
    associations_.on_stall(target_machine, until);
  }
  /// Looks for what should have happened by now. To be called every kCheckEvery or so.
  static constexpr Duration kCheckEvery = milliseconds(50);
  void check(Instant now) {
    keep_alives_.check(now);
    associations_.check(now);
  }

 private:
  WireWatch watch_;
  CompletionChecker completions_;
  KeepAliveChecker keep_alives_;
  LimitsChecker limits_;
  AssociationChecker associations_;
};

}  // namespace weft::sim
