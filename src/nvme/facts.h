// What the driver has to know of a controller and of its namespaces, out of what they say of themselves. What they say is not trusted: a value that
// cannot be worked with is refused with words. Plain values; no state. NVMe Base 2.0 §5.17; NVM Command Set 1.0 §4.1.5.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "nvme/data_pointer.h"
#include "wire/nvme/identify.h"
#include "wire/nvme/pcie_registers.h"

namespace weft::nvme {

struct ControllerFacts {
  std::string serial;
  std::string model;
  std::string firmware;
  uint32_t version = 0;                     // VS
  uint64_t transfer_bytes_max = 0;          // MDTS, whole pages; what a command may move at most
  uint64_t zeroes_bytes_max = 0;            // WZSL, likewise for Write Zeroes
  uint64_t verify_bytes_max = 0;            // VSL, likewise for Verify
  uint32_t deallocate_blocks_max = 0;       // DMRSL: of one range
  DataPointers data_pointers = DataPointers::kPrps;
  bool has_volatile_cache = false;
  bool has_write_zeroes = false;
  bool has_deallocate = false;              // Dataset Management
  bool has_compare = false;
  bool has_verify = false;
  bool has_copy = false;                    // with source ranges of format 0
  uint32_t atomic_blocks = 1;               // AWUN + 1
  uint32_t atomic_power_fail_blocks = 1;    // AWUPF + 1
  bool has_shadow_doorbells = false;
  bool has_namespace_events = false;        // OAES
  uint32_t async_events = 1;                // AERL + 1
  bool has_smart_per_namespace = false;     // LPA
  uint32_t error_entries = 1;               // ELPE + 1
  uint64_t shutdown_us = 0;                 // RTD3E; 0: not said
  uint32_t namespaces_max = 0;              // NN
};

struct NamespaceFacts {
  uint32_t nsid = 0;
  uint64_t block_count = 0;
  uint32_t block_size = 512;                // bytes: 512 or 4096
  uint32_t preferred_blocks = 1;            // NPWG
  uint32_t boundary_blocks = 0;             // NOIOB; 0: none
  uint32_t copy_range_blocks_max = 0;       // MSSRL: of one source range of Copy
  uint32_t copy_blocks_max = 0;             // MCL: of one Copy
  uint32_t copy_ranges_max = 1;             // MSRC + 1
  uint32_t atomic_blocks = 0;               // NAWUN + 1; 0: the controller's, as the next one
  uint32_t atomic_power_fail_blocks = 0;    // NAWUPF + 1
  uint32_t atomic_boundary_blocks = 0;      // NABSN + 1; 0: none
  uint32_t atomic_power_fail_boundary_blocks = 0;  // NABSPF + 1; 0: none
  uint32_t atomic_boundary_offset = 0;      // NABO
  bool reads_zeroes_after_zeroing = false;  // Write Zeroes with DEAC gives space back, and the blocks read as zeroes
  bool is_write_protected = false;
  std::array<uint8_t, 16> nguid{};          // zeroes: none, as the next two
  std::array<uint8_t, 8> eui64{};
  std::array<uint8_t, 16> uuid{};
};

/// Why CAP makes a controller impossible to drive; success otherwise.
Result<void> check_capabilities(const Cap& cap, size_t register_bytes);

/// `nvm`: CNS 06h, for controllers that have it; null otherwise. Errors: kUnsupported with what is.
Result<ControllerFacts> facts_of(const IdentifyController& id, const NvmIdentifyController* nvm, uint32_t version);

/// `descriptors`: CNS 03h; empty: not read. Errors: kNotFound (inactive), kUnsupported with what it is: metadata, an odd block size, another command set.
Result<NamespaceFacts> facts_of(uint32_t nsid, const IdentifyNamespace& id, std::span<const std::byte> descriptors);

/// A lasting name of a namespace: its UUID, NGUID or EUI64, or else the controller's serial number and the NSID.
std::string lasting_id(const ControllerFacts& controller, const NamespaceFacts& ns);

}  // namespace weft::nvme
