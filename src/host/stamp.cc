#include "host/stamp.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/endian.h"

namespace weft::host {
namespace {

constexpr uint64_t kMagic = 0x706d617473746677;  // "wftstamp"
constexpr size_t kCrcOffset = 32;
constexpr size_t kHeader = 40;
constexpr size_t kBlockMin = 64;

uint32_t crc_of(std::span<const std::byte> block) {
  constexpr std::byte kZero[4]{};
  Crc32c crc;
  crc.update(block.first(kCrcOffset));
  crc.update(kZero);
  crc.update(block.subspan(kCrcOffset + sizeof kZero));
  return crc.value();
}

}  // namespace

void write_stamp(std::span<std::byte> block, const Stamp& stamp) {
  WEFT_ASSERT(block.size() >= kBlockMin);
  WEFT_ASSERT(block.size() % 8 == 0);
  std::byte* p = block.data();
  store_le64(p, kMagic);
  store_le64(p + 8, stamp.run);
  store_le64(p + 16, stamp.sequence);
  store_le64(p + 24, stamp.lba);
  store_le64(p + kCrcOffset, 0);
  // Different in every block and cheap: an odd multiplier makes it a different sequence for each stamp.
  uint64_t word = (stamp.sequence ^ stamp.lba << 20) * 0x9e3779b97f4a7c15;
  for (size_t i = kHeader; i < block.size(); i += 8) store_le64(p + i, word += 0xd1342543de82ef95);
  store_le32(p + kCrcOffset, crc_of(block));
}

StampReading read_stamp(std::span<const std::byte> block) {
  WEFT_ASSERT(block.size() >= kBlockMin);
  const std::byte* p = block.data();
  if (load_le64(p) != kMagic) return {StampCheck::kNone, {}};
  const Stamp stamp{.run = load_le64(p + 8), .sequence = load_le64(p + 16), .lba = load_le64(p + 24)};
  return {load_le32(p + kCrcOffset) == crc_of(block) ? StampCheck::kGood : StampCheck::kCorrupt, stamp};
}

}  // namespace weft::host
