#include "control/explain_memory.h"

#include "base/assert.h"
#include "base/units.h"
#include "core/rdma_memory.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::control {
namespace {

std::string_view name_of(LimitScope scope) {
  switch (scope) {
    case LimitScope::kTarget:
      return "target";
    case LimitScope::kPeer:
      return "peer";
    case LimitScope::kReactor:
      return "reactor";
    case LimitScope::kSubsystem:
      return "subsystem";
    case LimitScope::kController:
      return "controller";
    case LimitScope::kConnection:
      return "connection";
    case LimitScope::kCommand:
      return "command";
  }
  return {};
}

/// How many things of that scope there can be. Those that cost nothing by themselves are not multiplied: their memory
/// is in other rows.
uint64_t count_of(LimitScope scope, const Limits& limits, const MemoryScale& scale) {
  switch (scope) {
    case LimitScope::kTarget:
      return 1;
    case LimitScope::kReactor:
      return scale.reactors;
    case LimitScope::kSubsystem:
      return scale.subsystems;
    case LimitScope::kController:
      return uint64_t(scale.subsystems) * limits.controllers;
    case LimitScope::kConnection:
      return limits.connections;
    case LimitScope::kPeer:
    case LimitScope::kCommand:
      break;
  }
  return 0;
}

std::string value_text(std::string_view name, uint32_t value) {
  if (name.ends_with("_bytes")) return format_size(value);
  if (name.ends_with("_ms")) return value % 1000 == 0 ? fmt::format("{} s", value / 1000) : fmt::format("{} ms", value);
  return fmt::format("{}", value);
}

}  // namespace

MemoryScale scale_of(const Config& config) {
  MemoryScale scale;
  scale.reactors = std::max<uint32_t>(1, uint32_t(config.target.cores.size()));
  scale.subsystems = std::max<uint32_t>(1, uint32_t(config.subsystems.size()));
  for (const SubsystemConfig& subsystem : config.subsystems) {
    for (const NamespaceConfig& ns : subsystem.namespaces) {
      if (ns.device.kind == DeviceKind::kRam) scale.ram_bytes += ns.device.size_bytes;
    }
  }
  return scale;
}

std::string explain_memory(const Limits& limits, const MemoryScale& scale) {
  WEFT_ASSERT(scale.reactors > 0);
  WEFT_ASSERT(scale.subsystems > 0);
  std::string text = fmt::format("{:<24}{:>10}  {:<10}  {:>10}  {:>10}  {}\n", "bound", "value", "for each",
                                 "costs each", "at most", "of what");
  uint64_t total = scale.ram_bytes;
  for (const LimitRow& row : kLimitTable) {
    const uint32_t value = limits.*row.value;
    const uint64_t bytes =
        uint64_t(value) * row.bytes_each * (row.bytes_each > 0 ? count_of(row.scope, limits, scale) : 0);
    total += bytes;
    text += fmt::format("{:<24}{:>10}  {:<10}  {:>10}  {:>10}  {}\n", row.name, value_text(row.name, value),
                        name_of(row.scope), row.bytes_each > 0 ? format_size(row.bytes_each) : "-",
                        bytes > 0 ? format_size(bytes) : "-", row.meaning);
  }
  text += fmt::format("{:<24}{:>10}  {:<10}  {:>10}  {:>10}  {}\n", "ram", format_size(scale.ram_bytes), "target", "-",
                      format_size(scale.ram_bytes), "the blocks of all ram namespaces");
  return text + fmt::format(
                    "total with {} reactor{} and {} subsystem{}: at most {}, when every bound is reached at once.\n"
                    "A bound is not a reservation: most of this memory is touched only when it is used.\n"
                    "RDMA locks {} of it for each reactor, beginning with the first host; as much again for each further device.\n",
                    scale.reactors, scale.reactors == 1 ? "" : "s", scale.subsystems, scale.subsystems == 1 ? "" : "s",
                    format_size(total), format_size(rdma_locked_bytes(limits)));
}

}  // namespace weft::control
