// The Identify command: which structure is asked for (CNS, CSI), and the lists it returns. The two large structures are
// in identify_controller.h and identify_namespace.h, which this header includes. NVM Express Base 2.0 §5.17.
#pragma once
#include "base/endian.h"
#include "wire/nvme/identify_controller.h"
#include "wire/nvme/identify_namespace.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::nvme {

inline constexpr size_t kIdentifySize = 4096;  // bytes, whatever the CNS

/// CDW10 7:0 of Identify.
enum class Cns : uint8_t {
  kNamespace = 0x00,
  kController = 0x01,
  kActiveNamespaces = 0x02,
  kNamespaceDescriptors = 0x03,
  kNvmSets = 0x04,
  kIocsNamespace = 0x05,         // takes a CSI
  kIocsController = 0x06,        // takes a CSI
  kIocsActiveNamespaces = 0x07,  // takes a CSI
  kIndependentNamespace = 0x08,
  kAllocatedNamespaces = 0x10,
  kAllocatedNamespace = 0x11,
  kControllersOfNamespace = 0x12,
  kControllers = 0x13,
  kPrimaryControllerCapabilities = 0x14,
  kSecondaryControllers = 0x15,
  kNamespaceGranularity = 0x16,
  kUuidList = 0x17,
  kDomains = 0x18,
  kEnduranceGroups = 0x19,
  kIocsAllocatedNamespaces = 0x1a,  // takes a CSI
  kIocsAllocatedNamespace = 0x1b,   // takes a CSI
  kIocsCombinations = 0x1c,
};

/// I/O command set: CDW11 31:24 of Identify, CDW14 31:24 of Get Log Page.
enum class Csi : uint8_t { kNvm = 0, kKeyValue = 1, kZoned = 2 };

/// CNS 03h returns a list of these, each followed by `nidl` bytes of identifier; a header with nidl 0 ends it.
struct NamespaceDescriptor {
  uint8_t nidt;
  uint8_t nidl;  // bytes
  std::array<std::byte, 2> reserved;
};
static_assert(sizeof(NamespaceDescriptor) == 4 && offsetof(NamespaceDescriptor, nidl) == 1);

enum class Nidt : uint8_t { kEui64 = 1, kNguid = 2, kUuid = 3, kCsi = 4 };

/// The NIDL that belongs to a type, 0 for a type of which nothing is known.
constexpr uint8_t identifier_length(Nidt nidt) {
  switch (nidt) {
    case Nidt::kEui64:
      return 8;
    case Nidt::kNguid:
    case Nidt::kUuid:
      return 16;
    case Nidt::kCsi:
      return 1;
  }
  return 0;
}

/// CNS 02h, 07h and 10h: NSIDs ascending, then zeroes.
struct NamespaceList {
  std::array<le32, 1024> nsid;
};
static_assert(sizeof(NamespaceList) == kIdentifySize);

/// CNS 12h and 13h: CNTLIDs ascending.
struct ControllerList {
  le16 count;
  std::array<le16, 2047> cntlid;
};
static_assert(sizeof(ControllerList) == kIdentifySize && offsetof(ControllerList, cntlid) == 2);

/// CNS 1Ch: bit n of a vector is the I/O command set with CSI n.
struct IocsCombinations {
  std::array<le64, 512> vector;
};
static_assert(sizeof(IocsCombinations) == kIdentifySize);

}  // namespace weft::nvme
