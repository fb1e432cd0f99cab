// As print.h, of what exists on PCI Express only.
#pragma once
#include "wire/nvme/pcie_registers.h"
#include "wire/nvme/queue_commands.h"

#include <cstdint>
#include <string>

namespace weft::nvme {

std::string to_text(const Prps& prps);
std::string to_text(const Cap& cap);
std::string to_text(const Cc& cc);
std::string csts_to_text(uint32_t csts);

}  // namespace weft::nvme
