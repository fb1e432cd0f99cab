// Where a command's data lies, as the device wants it said: PRPs, or one SGL descriptor. Our data is contiguous in the device's address space
// (pci/dma_map.h), so the pages of a transfer are its first address and the page boundaries after it. NVMe Base 2.0 §4.1.1 (PRP), §4.1.2 (SGL).
#pragma once
#include <cstdint>
#include <span>

#include "pci/function.h"
#include "wire/nvme/queue_commands.h"

namespace weft::nvme {

/// The page of a tracker that holds the list when PRP1 and PRP2 do not suffice. A list never takes a second page: transfers are split before.
struct PrpList {
  std::span<le64> entries;  // kPrpsOfAPage
  uint64_t iova = 0;        // page aligned
};

/// What one command can carry from `iova` on: PRP1 up to its page's end, then one page for each entry of one list.
constexpr uint64_t prp_bytes_max(uint64_t iova) { return uint64_t{kPrpsOfAPage + 1} * kPageBytes - iova % kPageBytes; }

/// PRP entries are multiples of four.
constexpr bool is_prp_aligned(uint64_t iova) { return iova % 4 == 0; }

/// PRP1 and PRP2 of `length` bytes at `iova`; fills `list` when there are more than two pages.
/// Requires: is_prp_aligned(), 0 < length <= prp_bytes_max().
Prps prps_for(uint64_t iova, uint64_t length, const PrpList& list);

/// The one descriptor of `length` bytes at `iova`.
SglDescriptor data_block(uint64_t iova, uint32_t length);

/// How a device takes data.
enum class DataPointers : uint8_t {
  kPrps,
  kSgls,  // SGLS says that it takes descriptors
};

/// Sets PSDT and the data pointer of `sqe`. A descriptor is used where it pays: for more than two pages, where it saves the list that the device
/// would fetch. Requires: as prps_for().
void set_data(Sqe& sqe, uint64_t iova, uint32_t length, const PrpList& list, DataPointers pointers);

}  // namespace weft::nvme
