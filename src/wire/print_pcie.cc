// Dumps of registers and PRPs.
#include "wire/print_pcie.h"

#include "wire/print_lines.h"

#include <fmt/format.h>

namespace weft::nvme {

std::string to_text(const Prps& prps) { return fmt::format("prp1 {:#x} prp2 {:#x}", prps.prp1, prps.prp2); }

std::string to_text(const Cap& cap) {
  constexpr BitName kNames[] = {{1, "contiguous queues"}, {2, "subsystem reset"}, {4, "NVM"}, {8, "CRTO"}};
  const uint64_t flags = uint64_t{cap.needs_contiguous_queues} | uint64_t{cap.has_subsystem_reset} << 1 |
                         uint64_t{cap.has_nvm_commands} << 2 | uint64_t{cap.has_ready_timeouts} << 3;
  return fmt::format("queue entries {} timeout {} ms doorbell stride {} pages {}..{}{}", cap.queue_entries_max,
                     cap.timeout_500ms * 500, doorbell_stride(cap), uint64_t{4096} << cap.page_log2_min,
                     uint64_t{4096} << cap.page_log2_max, bit_names(flags, kNames));
}

std::string to_text(const Cc& cc) {
  return fmt::format("{:#010x} en {} css {} mps {} ams {} shn {} iosqes {} iocqes {}", cc.raw, int(cc.en()), cc.css(),
                     cc.mps(), cc.ams(), cc.shn(), cc.iosqes(), cc.iocqes());
}

std::string csts_to_text(uint32_t csts) {
  constexpr BitName kNames[] = {{Csts::kRdy, "ready"},
                                {Csts::kCfs, "fatal"},
                                {Csts::kShstOccurring, "shutting down"},
                                {Csts::kShstComplete, "shut down"},
                                {Csts::kNssro, "subsystem reset"}};
  if (csts == kAllOnes) return "0xffffffff (not there)";
  return fmt::format("{:#010x}{}", csts, bit_names(csts, kNames));
}

}  // namespace weft::nvme
