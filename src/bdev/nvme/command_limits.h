// What the limits of an NVMe device make of Ios: how many blocks one command may be about, and which writes therefore stay whole. A write that becomes
// several commands is torn by us, whatever the device promises of each of them.
#pragma once
#include <cstdint>

#include "bdev/bdev.h"
#include "nvme/facts.h"

namespace weft::bdev {

/// Blocks of one command, at least 1. Whether the device has the command is another question.
struct CommandLimits {
  uint64_t transfer = 1;  // Read, Write and Compare: MDTS
  uint64_t zero = 1;      // Write Zeroes: WZSL
  uint64_t fill_with_zeroes = 1;
  uint64_t deallocate = 1;  // Dataset Management: DMRSL
  uint64_t verify = 1;      // VSL
  uint64_t copy = 1;        // MCL, and what its source ranges (MSRC) can say
  uint64_t copy_range = 1;  // MSSRL: of one source range
};

CommandLimits limits_of(const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns);

/// Whether Copy can be used: the controller has it, and the namespace's limits leave room for it.
bool has_copy(const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns);

/// What the device says of its writes, as far as they reach it as one command, wherever their data lies.
Atomicity atomicity_of(const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns);

/// Whether all that `promised` says is also true of `now`.
bool keeps(const Atomicity& now, const Atomicity& promised);

}  // namespace weft::bdev
