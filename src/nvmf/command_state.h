// Which state of a command may follow which. Queue::enter() is the only writer and checks against this table.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>

#include "nvmf/command.h"

namespace weft::nvmf {

constexpr uint16_t states(std::initializer_list<CommandState> list) {
  uint16_t set = 0;
  for (const CommandState state : list) set |= uint16_t(1u << unsigned(state));
  return set;
}

inline constexpr std::array<uint16_t, 10> kSuccessors = [] {
  using enum CommandState;
  std::array<uint16_t, 10> table{};
  table[size_t(kFree)] = states({kNew});
  table[size_t(kNew)] = states({kWaitBuffer, kReceiving, kWaitPartner, kFrozen, kExecuting, kResponding, kFree});
  table[size_t(kWaitBuffer)] = states({kReceiving, kFrozen, kExecuting, kResponding, kFree});
  table[size_t(kReceiving)] = states({kWaitPartner, kFrozen, kExecuting, kResponding, kFree});
  table[size_t(kWaitPartner)] = states({kExecuting, kResponding, kFree});
  table[size_t(kFrozen)] = states({kExecuting, kResponding, kFree});
  table[size_t(kExecuting)] = states({kWaitBuffer, kHeldEvent, kResponding, kQuarantined, kFree});
  table[size_t(kHeldEvent)] = states({kResponding, kFree});
  table[size_t(kResponding)] = states({kQuarantined, kFree});
  table[size_t(kQuarantined)] = states({kFree});
  return table;
}();

constexpr bool may_follow(CommandState now, CommandState next) {
  return (kSuccessors[size_t(now)] >> unsigned(next)) & 1;
}

}  // namespace weft::nvmf
