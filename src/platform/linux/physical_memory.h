// Physical addresses of this process's memory, for devices that no IOMMU stands before. Only of reserved huge pages (hugetlb): other pages the kernel may
// move at any time, locked or not. Linux Documentation/admin-guide/mm/pagemap.rst.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "pci/dma_map.h"
#include "platform/linux/sysfs.h"

namespace weft::platform {

/// Where `bytes` lie: in order, one range for each stretch that is contiguous. `what` for messages. Errors: kDenied (only root is told), kLimit (not in
/// reserved huge pages, with what to change).
Result<std::vector<pci::DmaMap::Range>> physical_ranges(const SystemRoot& root, std::span<std::byte> bytes, std::string_view what);

}  // namespace weft::platform
