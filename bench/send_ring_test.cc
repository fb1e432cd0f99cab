#include "bench/send_ring.h"

#include <gtest/gtest.h>

#include <string>

namespace weft::bench {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string gathered(const SendRing& ring, size_t iovecs_max) {
  std::vector<iovec> iovecs(iovecs_max);
  const size_t used = ring.gather(iovecs);
  std::string text;
  for (size_t i = 0; i < used; ++i) text += (i == 0 ? "" : "|") + std::string(static_cast<const char*>(iovecs[i].iov_base), iovecs[i].iov_len);
  return text;
}

TEST(SendRing, GathersHeadersWithoutPayloadAsOnePiece) {
  SendRing ring({.slots = 4, .header_bytes_max = 3});
  ring.push(bytes("aaa"), {});
  ring.push(bytes("bbb"), {});
  ring.push(bytes("ccc"), bytes("CC"));
  ring.push(bytes("ddd"), {});
  EXPECT_EQ(gathered(ring, 8), "aaabbbccc|CC|ddd");
  EXPECT_EQ(gathered(ring, 1), "aaabbbccc");
}

TEST(SendRing, GoesOnWhereASendStopped) {
  SendRing ring({.slots = 2, .header_bytes_max = 3});
  ring.push(bytes("aaa"), bytes("AAAA"));
  ring.push(bytes("b"), bytes("B"));
  ring.sent(2);
  EXPECT_EQ(gathered(ring, 8), "a|AAAA|b|B");
  ring.sent(3);
  EXPECT_EQ(gathered(ring, 8), "AA|b|B");
  EXPECT_EQ(ring.slots_free(), 0u);
  ring.sent(3);
  EXPECT_EQ(ring.slots_free(), 1u);
  ring.push(bytes("ccc"), {});
  EXPECT_EQ(gathered(ring, 8), "B|ccc");
  ring.sent(4);
  EXPECT_FALSE(ring.has_pending());
}

}  // namespace
}  // namespace weft::bench
