// What media operations become on an io_uring (ring.h) that carries NVMe commands to the kernel's driver, past its block layer: IORING_OP_URING_CMD with
// NVME_URING_CMD_IO in an entry of 128 bytes, on a namespace's character device. NVM Command Set 1.0 §3; linux/nvme_ioctl.h.
#pragma once
#include <liburing.h>
#include <linux/nvme_ioctl.h>

#include <array>
#include <cstdint>
#include <vector>

#include "media/media.h"
#include "wire/nvme/command.h"

namespace weft::platform {

/// A namespace as commands name it.
struct CommandedNamespace {
  int fd = -1;                       // of its character device
  uint32_t nsid = 0;
  uint32_t block_size = 512;         // bytes
  bool zeroing_deallocates = false;  // Write Zeroes with DEAC gives space back, and the blocks read as zeroes
};

/// Whether the operation is a Dataset Management, whose range is `range_of()` and lies in memory of its own.
bool takes_range(media::Kind kind, const CommandedNamespace& ns);
nvme::DsmRange range_of(const media::Operation& operation, const CommandedNamespace& ns);
/// `range`: where range_of() lies, for those that take one; else null. Requires: offset and length are whole blocks, within the namespace's limits.
nvme_uring_cmd command_of(const media::Operation& operation, const CommandedNamespace& ns, const nvme::DsmRange* range);

struct CommandOutcome {
  int32_t result = 0;   // as OperationOwner is told
  nvme::Status status;  // as Operation::status
};
/// `result`: of the completion: 0, the NVMe status when positive (without the phase bit), or a negative errno of the kernel's. What the device or the kernel
/// does not let happen at all is -EOPNOTSUPP where the owner has another way.
CommandOutcome outcome_of(media::Kind kind, uint32_t length, int32_t result);

/// operation.handle is what add() gave; every kind. Belongs to its ring.
class NvmeCommands {
 public:
  static constexpr unsigned kSetupFlags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32;
  static constexpr std::array kOpcodes{int(IORING_OP_URING_CMD)};
  static constexpr const char* kTooOld = "this kernel's io_uring has no device commands: they came with Linux 5.19";
  static constexpr size_t kRanges = 32;  // Dataset Managements at a time; more wait

  NvmeCommands();
  /// Outlives: `ns` is there until remove().
  int32_t add(const CommandedNamespace& ns);
  /// Requires: none of its operations is outstanding.
  void remove(int32_t handle);

  bool has_room_for(const media::Operation& operation) const;
  /// Requires: has_room_for(). Fills all 128 bytes but the user data.
  void prepare(io_uring_sqe& sqe, media::Operation& operation);
  int32_t finish(media::Operation& operation, int32_t result);

 private:
  const CommandedNamespace& ns_of(const media::Operation& operation) const;

  std::vector<const CommandedNamespace*> namespaces_;  // by handle; null: free
  std::array<nvme::DsmRange, kRanges> ranges_{};
  std::array<nvme::DsmRange*, kRanges> ranges_free_{};
  size_t ranges_free_count_ = kRanges;
};

}  // namespace weft::platform
