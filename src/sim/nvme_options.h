// What a simulated NVMe controller is (its shape, for life), what namespaces it has, and how it misbehaves (its faults, until told otherwise).
#pragma once
#include "base/time.h"

#include <array>
#include <cstdint>
#include <string>

namespace weft::sim {

class Disk;

struct NvmeShape {
  std::string name = "0000:01:00.0";
  std::string serial = "SIM0001";
  uint8_t uuid_first = 0xab;  // the first byte of its namespaces' UUIDs, of which the last is the NSID
  uint32_t queue_entries_max = 256;
  uint32_t io_queues = 8;
  uint32_t doorbell_stride_log2 = 0;
  uint32_t ready_timeout_500ms = 4;
  uint8_t mdts = 5;  // 2^n pages; 0: no limit
  uint8_t wzsl = 0;  // likewise, as the next one
  uint8_t vsl = 0;
  bool has_shadow_doorbells = false;
  bool has_sgls = false;
  bool has_write_zeroes = true;
  bool has_deallocate = true;
  bool deallocates_when_zeroing = true;  // DLFEAT, as the disk's discarded_reads_zero
  bool has_compare = false;
  bool has_verify = false;
  bool has_copy = false;
  uint16_t mssrl = 64;  // blocks of one source range of Copy
  uint32_t mcl = 128;   // and of one Copy
  uint8_t msrc = 3;     // source ranges, 0-based
  /// Where it says which writes of its disks are whole: Identify Controller, or Identify Namespace.
  enum class Atomics : uint8_t { kOfController, kOfNamespace };
  Atomics atomics = Atomics::kOfNamespace;
};

struct NvmeNamespace {
  Disk* disk = nullptr;
  uint64_t block_count = 0;
  uint32_t block_size = 512;
  uint16_t metadata_bytes = 0;
  std::array<uint8_t, 16> nguid{};  // zeroes: none, as of the next one
  std::array<uint8_t, 8> eui64{};
  bool is_attached = true;          // false: there is none of that NSID now
};

/// The default has none. "One in" counts commands, drawn; 0: never.
struct NvmeFaults {
  uint64_t completion_lost_one_in = 0;  // it is done, and never said
  uint64_t wrong_cid_one_in = 0;        // a completion for a command that is not there
  uint64_t wrong_sqhd_one_in = 0;
  uint64_t twice_one_in = 0;            // a completion comes again, later
  uint64_t fatal_one_in = 0;            // CSTS.CFS, and nothing more is done until the reset
  uint64_t abort_fails_one_in = 3;      // Abort finds the command not abortable
  uint32_t never_ready = 0;             // that many times, CSTS.RDY does not follow CC.EN
};

/// What happened so far.
struct NvmeCounts {
  uint64_t commands = 0;      // of I/O queues
  std::array<uint64_t, 256> by_opcode{};  // likewise
  uint64_t completions = 0;
  uint64_t resets = 0;        // CC.EN to 0
  uint64_t isolations = 0;
  uint64_t aborts = 0;
  uint64_t deletions = 0;     // of submission queues with commands in them
  uint64_t lies = 0;          // wrong_…, twice
  uint64_t lost = 0;
  uint64_t fatal = 0;
  uint64_t half_visible = 0;  // completions of which the phase bit was there before the rest
  uint64_t doorbells = 0;     // registers written
  uint64_t interrupts = 0;
};

}  // namespace weft::sim
