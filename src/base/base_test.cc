#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string_view>

#include "base/bits.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "base/intrusive_list.h"
#include "base/log.h"
#include "base/prng.h"
#include "base/units.h"

namespace weft {
namespace {

std::span<const std::byte> bytes_from(std::string_view text) { return std::as_bytes(std::span{text.data(), text.size()}); }

TEST(Crc32c, MatchesThePublishedCheckValues) {
  EXPECT_EQ(crc32c(bytes_from("123456789")), 0xe3069283u);
  const std::byte zeroes[32]{};
  EXPECT_EQ(crc32c(zeroes), 0x8a9136aau);
}

uint32_t crc32c_by_bits(std::span<const std::byte> bytes) {
  uint32_t crc = ~0u;
  for (const std::byte byte : bytes) {
    crc ^= uint32_t(byte);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

TEST(Crc32c, IsThatOfTheBitsAtEveryShortLengthAndAlignment) {
  Prng prng{1};
  std::array<std::byte, 320> bytes;
  for (std::byte& byte : bytes) byte = std::byte(prng.below(256));
  for (size_t start = 0; start < 16; ++start) {
    for (size_t size = 0; size <= bytes.size() - start; ++size) {
      const auto part = std::span<const std::byte>(bytes).subspan(start, size);
      ASSERT_EQ(crc32c(part), crc32c_by_bits(part)) << "start " << start << ", size " << size;
    }
  }
}

TEST(Crc32c, OfAnObjectIsThatOfItsBytes) {
  std::array<std::byte, 72> object{};
  for (size_t i = 0; i < object.size(); ++i) object[i] = std::byte(i * 37 + 1);
  EXPECT_EQ(crc32c_of(object), crc32c_by_bits(object));
  EXPECT_EQ(crc32c_of(uint64_t{0}), crc32c_by_bits(std::array<std::byte, 8>{}));
}

TEST(Crc32c, OfACopyIsThatOfTheBits) {
  Prng prng{2};
  std::array<std::byte, 4096 + 1> from;
  for (std::byte& byte : from) byte = std::byte(prng.below(256));
  for (size_t size = 0; size <= 4096; size += size < 1100 ? 1 : 749) {
    std::array<std::byte, 4096 + 2> to{};
    const auto part = std::span<const std::byte>(from).subspan(size % 2, size);
    ASSERT_EQ(copy_with_crc32c(to.data(), part), crc32c_by_bits(part)) << size;
    ASSERT_TRUE(std::ranges::equal(part, std::span(to).first(size))) << size;
    ASSERT_EQ(to[size], std::byte{0}) << size;
  }
}

TEST(Crc32c, IsTheSameInPartsAsInOne) {
  Crc32c crc;
  crc.update(bytes_from("1234"));
  crc.update(bytes_from("56789"));
  EXPECT_EQ(crc.value(), 0xe3069283u);
}

TEST(Endian, StoresTheLeastSignificantByteFirst) {
  const le32 x = 0x11223344;
  EXPECT_EQ(x.raw[0], std::byte{0x44});
  EXPECT_EQ(uint32_t{x}, 0x11223344u);
  const le24 y = 0xabcdef;
  EXPECT_EQ(sizeof y, 3u);
  EXPECT_EQ(uint32_t{y}, 0xabcdefu);
}

TEST(Bits, TakeAFieldByItsSpecPositions) {
  EXPECT_EQ((bits<7, 4>(0xabu)), 0xau);
  EXPECT_EQ((bits<31, 0>(0xffffffffu)), 0xffffffffu);
  EXPECT_TRUE(bit<3>(8u));
}

TEST(Bytes, ViewOfTooFewBytesIsNull) {
  const std::byte three[3]{};
  EXPECT_EQ(view<le32>(three), nullptr);
}

TEST(Bytes, WindowBeyondTheEndIsZeroFilled) {
  std::byte target[4];
  std::memset(target, 0xff, sizeof target);
  copy_window(target, bytes_from("abcd"), 3);
  EXPECT_EQ(target[0], std::byte{'d'});
  EXPECT_EQ(target[1], std::byte{0});
  EXPECT_EQ(target[3], std::byte{0});
}

struct Item {
  int value;
  Link link{};
};

TEST(IntrusiveList, KeepsOrderAndLetsTheMiddleGo) {
  IntrusiveList<Item, &Item::link> list;
  Item a{1}, b{2}, c{3};
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  b.link.unlink();
  EXPECT_EQ(list.next(a), &c);
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_EQ(list.pop_front(), &c);
  EXPECT_EQ(list.pop_front(), nullptr);
}

TEST(Units, ReadsSizesAndRefusesAmbiguousOnes) {
  EXPECT_EQ(parse_size("512").value(), 512u);
  EXPECT_EQ(parse_size("4KiB").value(), 4096u);
  EXPECT_EQ(parse_size("1g").value(), 1u << 30);
  for (const char* bad : {"", "x", "8GB", "1.5G", "-1", "99999999999T"}) EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(Units, FormatsSizesInTheLargestUnit) {
  EXPECT_EQ(format_size(512), "512 B");
  EXPECT_EQ(format_size(uint64_t{1} << 30), "1 GiB");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
}

TEST(Prng, SameSeedSameNumbersAndBoundsHold) {
  Prng a{7}, b{7};
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(a.next(), b.next());
    EXPECT_LT(a.below(10), 10u);
    b.below(10);
  }
}

TEST(RateLimit, LetsOneThroughPerSecondAndCountsTheRest) {
  RateLimit limit;
  EXPECT_TRUE(limit.allow(Instant{1}));
  EXPECT_FALSE(limit.allow(Instant{2}));
  EXPECT_TRUE(limit.allow(Instant{seconds(2).ns}));
  EXPECT_EQ(limit.suppressed(), 1u);
}

}  // namespace
}  // namespace weft
