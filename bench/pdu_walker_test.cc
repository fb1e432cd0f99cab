#include "bench/pdu_walker.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/bytes.h"

namespace weft::bench {
namespace {

/// What it is told, as "h24 p100 e".
struct Notes {
  std::string text;
  size_t payload = 0;
  void on_header(std::span<const std::byte> header) { text += "h" + std::to_string(header.size()) + " "; }
  void on_payload(std::span<const std::byte> bytes) { payload += bytes.size(); }
  void on_end() {
    text += "p" + std::to_string(payload) + " e ";
    payload = 0;
  }
};

std::vector<std::byte> pdu(uint8_t hlen, uint32_t plen) {
  std::vector<std::byte> bytes(plen);
  const tcp::CommonHeader header{.type = 7, .flags = 0, .hlen = hlen, .pdo = 0, .plen = plen};
  std::ranges::copy(bytes_of(header), bytes.begin());
  return bytes;
}

TEST(PduWalker, FindsPdusHoweverTheyAreCut) {
  std::vector<std::byte> stream;
  for (const auto& part : {pdu(24, 124), pdu(24, 24), pdu(72, 172)}) stream.insert(stream.end(), part.begin(), part.end());
  for (const size_t step : {size_t{1}, size_t{7}, size_t{23}, size_t{24}, size_t{25}, size_t{73}, stream.size()}) {
    PduWalker walker;
    Notes notes;
    for (size_t at = 0; at < stream.size(); at += step) {
      const auto part = std::span<const std::byte>(stream).subspan(at, std::min(step, stream.size() - at));
      ASSERT_EQ(walker.walk(part, notes), PduWalker::Outcome::kFine);
    }
    EXPECT_EQ(notes.text, "h24 p100 e h24 p0 e h72 p100 e ") << step;
  }
}

TEST(PduWalker, RefusesLengthsThatNoPduHas) {
  for (const auto& bytes : {pdu(4, 24), pdu(73, 100), pdu(24, 100)}) {
    PduWalker walker;
    Notes notes;
    auto changed = bytes;
    if (bytes.size() == 100 && bytes[2] == std::byte{24}) changed[4] = std::byte{20};  // PLEN below HLEN
    EXPECT_EQ(walker.walk(changed, notes), PduWalker::Outcome::kNoPdu);
    EXPECT_EQ(notes.text, "");
  }
}

}  // namespace
}  // namespace weft::bench
