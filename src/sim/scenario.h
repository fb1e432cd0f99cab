// What a run fixes instead of drawing it: a TOML file, or nothing. Every key is optional.
#pragma once
#include "base/error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weft::sim {

/// What can go wrong in a world. The names are those of the scenario file's `faults`.
enum class FaultKind : uint8_t {
  kCut,              // a connection ends between any two bytes
  kHold,             // nothing goes one way for a while
  kFade,             // a host is heard of ever more slowly, then no more for a while
  kStorm,            // connections that say nothing, or nonsense, come in numbers
  kHostStall,        // a host's reactor gets no turn for a while
  kTargetStall,      // a target's reactor gets no turn for a while
  kHostCrash,        // a host's process dies
  kTargetCrash,      // a target's process dies, and starts again
  kPowerCut,         // a target's machine is without power for a while
  kDiskHang,         // a disk answers nothing for a while
  kDiskHangUnheard,  // the same for longer than a command may take, while a host takes nothing of its target
  kDiskRemoval,      // a disk is pulled, and comes back
  kDiskErrors,       // a disk fails operations for a while
  kDiskLoss,         // a disk loses completions for a while
  kNamespaceChange,  // a namespace is removed, added, or resized
  kAccessChange,     // a host may not connect for a while
  kListenerChange,   // a listener goes, and comes back
  kSubsystemChange,  // a subsystem is deleted, and added again
  kClockJump,        // wall clocks jump
  kRdmaRemoval,      // a machine's RDMA device goes, and another one comes
  kRdmaPortDown,     // a machine's RDMA device sends and receives nothing for a while
  kRdmaAddress,      // a machine's address moves: its connections end, and nobody tells the other ends
};

struct FaultName {
  FaultKind kind;
  const char* name;
};
inline constexpr FaultName kFaultNames[] = {
    {FaultKind::kCut, "cut"},
    {FaultKind::kHold, "hold"},
    {FaultKind::kFade, "fade"},
    {FaultKind::kStorm, "storm"},
    {FaultKind::kHostStall, "host-stall"},
    {FaultKind::kTargetStall, "target-stall"},
    {FaultKind::kHostCrash, "host-crash"},
    {FaultKind::kTargetCrash, "target-crash"},
    {FaultKind::kPowerCut, "power-cut"},
    {FaultKind::kDiskHang, "disk-hang"},
    {FaultKind::kDiskHangUnheard, "disk-hang-unheard"},
    {FaultKind::kDiskRemoval, "disk-removal"},
    {FaultKind::kDiskErrors, "disk-errors"},
    {FaultKind::kDiskLoss, "disk-loss"},
    {FaultKind::kNamespaceChange, "namespace-change"},
    {FaultKind::kAccessChange, "access-change"},
    {FaultKind::kListenerChange, "listener-change"},
    {FaultKind::kSubsystemChange, "subsystem-change"},
    {FaultKind::kClockJump, "clock-jump"},
    {FaultKind::kRdmaRemoval, "rdma-removal"},
    {FaultKind::kRdmaPortDown, "rdma-port-down"},
    {FaultKind::kRdmaAddress, "rdma-address-change"},
};

struct Scenario {
  std::optional<size_t> targets;
  std::optional<size_t> hosts;
  std::optional<size_t> reactors;    // of each target
  std::optional<size_t> namespaces;  // of each subsystem
  std::optional<uint16_t> io_queues;
  std::optional<uint32_t> queue_depth;
  std::optional<bool> digests;
  std::optional<bool> hostile_limits;
  std::optional<bool> rough_network;             // single bytes, short sends, corruption
  std::optional<int64_t> duration_ms;            // of the phase with faults
  std::optional<std::vector<FaultKind>> faults;  // only these
  std::optional<std::string> medium;             // "ram", "disk" or "nvme"
  std::optional<std::string> fabric;             // "tcp", "rdma" or "both"
};

/// Reads a scenario. Errors: kInvalid with the line, the key and what is allowed; kNotFound.
Result<Scenario> read_scenario(const std::string& path);

}  // namespace weft::sim
