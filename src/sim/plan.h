// What a seed stands for, before anything happens: machines, namespaces, hosts, limits, network and faults. Drawn once;
// a scenario may fix parts of it.
#pragma once
#include "core/limits.h"
#include "host/queue.h"
#include "sim/network.h"
#include "sim/scenario.h"

#include <cstdint>
#include <string>
#include <vector>

namespace weft::sim {

enum class MediumKind : uint8_t {
  kRam,
  kDisk,  // under UringBdev
  kDelayedRam,
  kDelayedDisk,
  kNvme,  // a disk in an NVMe controller, under the driver
};
/// What an association runs over.
enum class FabricKind : uint8_t { kTcp, kRdma };

struct NamespacePlan {
  MediumKind medium = MediumKind::kRam;
  uint64_t blocks = 256;
  uint32_t block_bytes = 512;
  bool has_volatile_cache = true;  // of a disk
  bool is_there_at_start = true;   // else it is added while the target serves
};

struct SubsystemPlan {
  std::string nqn;
  std::vector<NamespacePlan> namespaces;  // NSID - 1
};

struct TargetPlan {
  size_t reactors = 1;
  Limits limits;
  std::vector<SubsystemPlan> subsystems;
};

/// One host's association with one subsystem, made again whenever it is lost.
struct AssociationPlan {
  size_t target = 0;
  size_t subsystem = 0;
  FabricKind fabric = FabricKind::kTcp;
  uint16_t io_queues = 1;
  uint16_t queue_entries = 32;
  host::Digests digests;
  bool has_flow_control = true;
  Duration keep_alive = seconds(2);
  uint32_t queue_depth = 8;  // commands of the workload outstanding on a queue
};

struct HostPlan {
  std::vector<AssociationPlan> associations;
  uint16_t descriptors = 1;  // of a command's data over RDMA, where the target takes as many
  bool has_windows = false;  // each command's data has a key of its own, which the target may invalidate
};

/// How often each kind of fault comes, and how the network and disks are while they do.
struct FaultPlan {
  Duration duration = seconds(5);      // of the first phase
  Duration pause = milliseconds(200);  // between two faults, drawn around it
  std::vector<FaultKind> kinds;        // that this run has; empty: a run without faults
  NetworkOptions network;              // while faults last
};

struct Plan {
  uint64_t seed = 0;
  std::vector<TargetPlan> targets;
  std::vector<HostPlan> hosts;
  FaultPlan faults;
};

/// The plan of `seed`, with what `scenario` fixes.
Plan draw_plan(uint64_t seed, const Scenario& scenario);

}  // namespace weft::sim
