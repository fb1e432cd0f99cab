#include "platform/linux/signatures.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace weft::platform {
namespace {

using namespace std::string_view_literals;

constexpr uint64_t kSize = 8 << 20;

std::optional<std::string_view> look_at(const std::vector<char>& image) {
  return find_signature(image.size(), [&](uint64_t offset, std::span<std::byte> target) {
    EXPECT_LE(offset + target.size(), image.size());
    std::memcpy(target.data(), image.data() + offset, target.size());
    return true;
  });
}

TEST(Signatures, AnEmptyDiskHasNone) { EXPECT_EQ(look_at(std::vector<char>(kSize)), std::nullopt); }

TEST(Signatures, KnownContentsAreNamed) {
  struct Row {
    uint64_t offset;
    std::string_view bytes;
    std::string_view name;
  };
  const Row rows[] = {
      {1024 + 56, "\x53\xef"sv, "an ext2/3/4 file system"},
      {0, "XFSB"sv, "an XFS file system"},
      {65536 + 64, "_BHRfS_M"sv, "a btrfs file system"},
      {512, "LABELONE"sv, "an LVM physical volume"},
      {0, "LUKS\xba\xbe"sv, "a LUKS volume"},
      {4096, "\xfc\x4e\x2b\xa9"sv, "a RAID (md) member"},
      {kSize - 65536, "\xfc\x4e\x2b\xa9"sv, "a RAID (md) member"},
      {kSize - 8192, "\xfc\x4e\x2b\xa9"sv, "a RAID (md) member"},
      {4096 - 10, "SWAPSPACE2"sv, "swap space"},
      {512, "EFI PART"sv, "a GPT partition table"},
      {kSize - 512, "EFI PART"sv, "a GPT partition table (its backup)"},
      {510, "\x55\xaa"sv, "a partition table or boot sector"},
      {0x36, "FAT16   "sv, "a FAT file system"},
      {0x8001, "CD001"sv, "an ISO 9660 file system"},
  };
  for (const Row& row : rows) {
    std::vector<char> image(kSize);
    std::memcpy(image.data() + row.offset, row.bytes.data(), row.bytes.size());
    EXPECT_EQ(look_at(image), row.name) << row.offset;
  }
}

TEST(Signatures, ASpecificNameWinsOverABootSector) {
  std::vector<char> image(kSize);
  std::memcpy(image.data() + 3, "NTFS    ", 8);
  std::memcpy(image.data() + 510, "\x55\xaa", 2);
  EXPECT_EQ(look_at(image), "an NTFS file system");
}

TEST(Signatures, SmallAndOddlySizedDisksAreReadInsideTheirBounds) {
  for (const size_t size : {512u, 1024u, 4096u, 4608u, 66048u}) {
    std::vector<char> image(size);
    EXPECT_EQ(look_at(image), std::nullopt);
    std::memcpy(image.data() + size - 512, "EFI PART", 8);
    EXPECT_NE(look_at(image), std::nullopt) << size;
  }
}

TEST(Signatures, WhatCannotBeReadIsLeftOut) {
  EXPECT_EQ(find_signature(kSize, [](uint64_t, std::span<std::byte>) { return false; }), std::nullopt);
}

}  // namespace
}  // namespace weft::platform
