// What a command's SGL says about its data on NVMe/TCP: a data block in the capsule (01h) or one that PDUs move (5Ah). NVMe/TCP 1.0a §3.4.
#pragma once
#include "nvmf/transport_ops.h"
#include "wire/nvme/command.h"

namespace weft::tcp {

struct CapsuleData {
  size_t size;      // bytes that the capsule carries
  uint32_t size_max;  // bytes that this command may carry
};

/// A wrong SGL fails the command, not the connection: PLEN has told how far the PDU goes.
nvmf::DataDescriptor describe_data(const nvme::SglDescriptor& sgl, CapsuleData in_capsule);

}  // namespace weft::tcp
