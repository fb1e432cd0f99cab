#include "sim/checkers/completion_checker.h"

#include "wire/fabrics/connect.h"

namespace weft::sim {
namespace {

bool is_fabrics(const nvme::Sqe& sqe) { return sqe.opcode == nvme::kFabricsOpcode; }

/// Whether a command's completion may have something in CDW1.
bool may_have_dw1(const nvme::Sqe& sqe) {
  if (is_fabrics(sqe)) return fabrics::Fctype(sqe.fctype()) == fabrics::Fctype::kPropertyGet;
  return nvme::AdminOpcode(sqe.opcode) == nvme::AdminOpcode::kAsyncEventRequest;
}

}  // namespace

void CompletionChecker::on_command_taken(const WireQueue& queue, const WireCommand& command, Instant) {
  State& state = states_[queue.id];
  state.name = queue.name;
  state.is_admin = queue.is_admin();
  ++state.taken;
  state.outstanding.emplace(uint16_t{command.sqe.cid}, command.sqe);
}

void CompletionChecker::on_completion(const WireQueue& queue, const WireCompletion& completion, Instant) {
  State& state = states_[queue.id];
  const uint16_t cid = completion.cqe.cid;
  const auto found = state.outstanding.find(cid);
  if (found == state.outstanding.end())
    return broken(queue, "a completion for CID {:04x}h, which is not outstanding", cid);
  const nvme::Sqe sqe = found->second;
  state.outstanding.erase(found);
  if (completion.is_flag) return;  // there is nothing in it
  ++state.completed;
  state.sqhd = state.has_head ? state.sqhd : uint16_t{completion.cqe.sqhd};
  check_layout(queue, completion.cqe, sqe);
  if (state.has_head) check_head(queue, state, completion.cqe.sqhd);
}

void CompletionChecker::check_layout(const WireQueue& queue, const nvme::Cqe& cqe, const nvme::Sqe& sqe) {
  const uint16_t cid = cqe.cid;
  const uint16_t status = cqe.status;
  const auto sct = (status >> 9) & 7;
  // Until a Connect is granted, the queue has no ID but the one that it asks for.
  const uint16_t qid = queue.is_connected ? queue.qid : uint16_t(sqe.cdw10 >> 16);
  if (cqe.sqid != qid && cqe.sqid != 0) broken(queue, "SQID {} (CID {:04x}h)", uint16_t{cqe.sqid}, cid);
  if ((status & 1) != 0) broken(queue, "the phase bit is set (CID {:04x}h)", cid);
  if (sct > 3 && sct < 7) broken(queue, "status code type {} is reserved (CID {:04x}h)", sct, cid);
  // No host of the simulation asks for retry delays (Host Behavior Support, ACRE).
  if ((status >> 12 & 3) != 0) broken(queue, "CRD is set in status {:04x}h (CID {:04x}h)", status, cid);
  const bool is_io = !is_fabrics(sqe) && !queue.is_admin();
  const bool has_dw0 = !is_io || nvme::IoOpcode(sqe.opcode) == nvme::IoOpcode::kCopy;
  if (cqe.dw0 != 0 && !has_dw0) broken(queue, "CDW0 is {:08x}h (CID {:04x}h)", uint32_t{cqe.dw0}, cid);
  if (cqe.dw1 != 0 && (is_io || !may_have_dw1(sqe)))
    broken(queue, "CDW1 is {:08x}h (CID {:04x}h)", uint32_t{cqe.dw1}, cid);
}

/// A command is taken from the queue before it is completed, and none that has not come is taken. What is outstanding
/// fits into the queue, so SQHD tells how far the head is.
void CompletionChecker::check_head(const WireQueue& queue, State& state, uint16_t sqhd) {
  if (!queue.has_flow_control) {
    if (sqhd != 0 && sqhd != 0xffff) broken(queue, "SQHD {} on a queue without flow control", sqhd);
    return;
  }
  if (sqhd >= queue.entries) return broken(queue, "SQHD {} on a queue of {} entries", sqhd, queue.entries);
  state.passed += (sqhd + queue.entries - state.sqhd) % queue.entries;
  // The head may have gone round more than once between two completions only if so many commands have come.
  while (state.passed + queue.entries <= state.taken && state.passed < state.completed) state.passed += queue.entries;
  state.sqhd = sqhd;
  if (state.passed < state.completed || state.passed > state.taken) {
    broken(queue, "SQHD {} says that {} commands were taken; {} were completed, {} had come", sqhd, state.passed,
           state.completed, state.taken);
  }
}

void CompletionChecker::on_connected(const WireQueue& queue, Instant) {
  State& state = states_[queue.id];
  const uint64_t first = state.completed;
  state.name = queue.name;
  state.is_admin = queue.is_admin();
  state.has_head = true;
  state.taken = state.completed = state.passed = 0;
  if (!queue.has_flow_control) return;
  if (first == 1 && state.sqhd != 1 % queue.entries) broken(queue, "SQHD {} after the Connect alone", state.sqhd);
}

void CompletionChecker::on_closed(const WireQueue& queue, Side, Instant) {
  State& state = states_[queue.id];
  if (std::exchange(state.is_half_closed, true)) states_.erase(queue.id);
}

void CompletionChecker::at_rest() {
  for (const auto& [id, state] : states_) {
    if (state.is_half_closed) continue;
    for (const auto& [cid, sqe] : state.outstanding) {
      const bool is_event = state.is_admin && nvme::AdminOpcode(sqe.opcode) == nvme::AdminOpcode::kAsyncEventRequest;
      if (is_event) continue;
      referee_.fail("completion", fmt::format("{}: the command with CID {:04x}h and opcode {:02x}h is never completed",
                                              state.name, cid, sqe.opcode));
    }
  }
}

}  // namespace weft::sim
