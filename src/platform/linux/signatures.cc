#include "platform/linux/signatures.h"

#include <array>
#include <cstring>

namespace weft::platform {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view name;
  uint64_t end_unit;  // 0: `offset` counts from the start; else back from the end, rounded down to this unit
  uint64_t offset;
  std::string_view bytes;
};

// Offsets and numbers are the formats' own (see libblkid or each format's description). Specific ones first: a FAT boot sector ends like a
// partition table.
constexpr std::array kSignatures{
    Signature{"an LVM physical volume", 0, 0x000, "LABELONE"sv},
    Signature{"an LVM physical volume", 0, 0x200, "LABELONE"sv},
    Signature{"an LVM physical volume", 0, 0x400, "LABELONE"sv},
    Signature{"an LVM physical volume", 0, 0x600, "LABELONE"sv},
    Signature{"a LUKS volume", 0, 0x0, "LUKS\xba\xbe"sv},
    Signature{"a LUKS volume", 0, 0x4000, "SKUL\xba\xbe"sv},
    Signature{"a RAID (md) member", 0, 0x0, "\xfc\x4e\x2b\xa9"sv},
    Signature{"a RAID (md) member", 0, 0x1000, "\xfc\x4e\x2b\xa9"sv},
    Signature{"a RAID (md) member", 4096, 8192, "\xfc\x4e\x2b\xa9"sv},
    Signature{"a RAID (md) member", 65536, 65536, "\xfc\x4e\x2b\xa9"sv},
    Signature{"a bcache device", 0, 0x1018, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"sv},
    Signature{"a Ceph OSD (BlueStore)", 0, 0x0, "bluestore block device"sv},
    Signature{"swap space", 0, 4086, "SWAPSPACE2"sv},
    Signature{"swap space", 0, 4086, "SWAP-SPACE"sv},
    Signature{"an XFS file system", 0, 0x0, "XFSB"sv},
    Signature{"an ext2/3/4 file system", 0, 0x438, "\x53\xef"sv},
    Signature{"a btrfs file system", 0, 0x10040, "_BHRfS_M"sv},
    Signature{"an F2FS file system", 0, 0x400, "\x10\x20\xf5\xf2"sv},
    Signature{"a ZFS pool member", 0, 0x20000, "\x0c\xb1\xba\0\0\0\0\0"sv},
    Signature{"an NTFS file system", 0, 3, "NTFS    "sv},
    Signature{"an exFAT file system", 0, 3, "EXFAT   "sv},
    Signature{"a FAT file system", 0, 0x52, "FAT32   "sv},
    Signature{"a FAT file system", 0, 0x36, "FAT16   "sv},
    Signature{"a FAT file system", 0, 0x36, "FAT12   "sv},
    Signature{"a JFS file system", 0, 0x8000, "JFS1"sv},
    Signature{"a ReiserFS file system", 0, 0x10034, "ReIsEr"sv},
    Signature{"a GFS2 file system", 0, 0x10000, "\x01\x16\x19\x70"sv},
    Signature{"a SquashFS file system", 0, 0x0, "hsqs"sv},
    Signature{"an EROFS file system", 0, 0x400, "\xe2\xe1\xf5\xe0"sv},
    Signature{"an ISO 9660 file system", 0, 0x8001, "CD001"sv},
    Signature{"a UDF file system", 0, 0x8001, "BEA01"sv},
    Signature{"a GPT partition table", 0, 512, "EFI PART"sv},
    Signature{"a GPT partition table", 0, 4096, "EFI PART"sv},
    Signature{"a GPT partition table (its backup)", 512, 512, "EFI PART"sv},
    Signature{"a GPT partition table (its backup)", 4096, 4096, "EFI PART"sv},
    Signature{"a partition table or boot sector", 0, 510, "\x55\xaa"sv},
};

constexpr uint64_t kSector = 4096;

/// Where the signature lies; nothing when the medium is too small for it.
std::optional<uint64_t> place_of(const Signature& signature, uint64_t size_bytes) {
  uint64_t place = signature.offset;
  if (signature.end_unit != 0) {
    const uint64_t end = size_bytes - size_bytes % signature.end_unit;
    if (end < signature.offset) return std::nullopt;
    place = end - signature.offset;
  }
  return place + signature.bytes.size() <= size_bytes ? std::optional{place} : std::nullopt;
}

}  // namespace

std::optional<std::string_view> find_signature(uint64_t size_bytes, const ReadAt& read_at) {
  alignas(kSector) std::array<std::byte, kSector> sector;  // aligned: the medium may be open for direct I/O
  for (const Signature& signature : kSignatures) {
    const auto place = place_of(signature, size_bytes);
    if (!place) continue;
    // A disk may end inside a 4 KiB sector; then the sector that ends with it is read.
    uint64_t start = *place - *place % kSector;
    if (start + kSector > size_bytes) start = size_bytes < kSector ? 0 : size_bytes - kSector;
    const size_t inside = *place - start;
    const size_t length = size_bytes < kSector ? size_bytes : kSector;
    if (inside + signature.bytes.size() > length) continue;
    if (!read_at(start, std::span{sector}.first(length))) continue;
    if (std::memcmp(sector.data() + inside, signature.bytes.data(), signature.bytes.size()) == 0) return signature.name;
  }
  return std::nullopt;
}

}  // namespace weft::platform
