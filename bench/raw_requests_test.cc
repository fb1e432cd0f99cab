#include "bench/raw_requests.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/bytes.h"
#include "bench/command_source.h"
#include "bench/h2c_data.h"

namespace weft::bench {
namespace {

constexpr uint32_t kIoBytes = 16384;  // more than a capsule holds

Workload workload_of(Direction direction, uint32_t io_bytes) { return {.direction = direction, .io_bytes = io_bytes, .capacity_bytes = 1 << 20}; }

std::vector<std::byte> command(const Workload& workload, uint16_t cid) {
  CommandSource source(workload, {.block_bytes = 4096, .block_count = 256}, 1);
  const auto made = source.next(cid);
  std::vector<std::byte> bytes(made.header.begin(), made.header.end());
  const auto payload = payload_of(workload);
  if (made.has_payload) bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

/// Takes what is to be sent.
std::vector<std::byte> take(SendRing& ring) {
  std::vector<iovec> iovecs(16);
  iovecs.resize(ring.gather(iovecs));
  std::vector<std::byte> bytes;
  for (const iovec& piece : iovecs) bytes.insert(bytes.end(), static_cast<std::byte*>(piece.iov_base), static_cast<std::byte*>(piece.iov_base) + piece.iov_len);
  ring.sent(bytes.size());
  return bytes;
}

TEST(RawRequests, AnswersReadsAndWritesInTheCapsuleWithTheirCids) {
  RawMedium medium(RawMedium::Kind::kCold, workload_of(Direction::kMixed, 4096));
  RawRequests requests(medium);
  EXPECT_EQ(requests.receive(command(workload_of(Direction::kRead, 4096), 5)), 1u);
  const auto read = take(requests.answers());
  ASSERT_EQ(read.size(), 24 + 4096u);
  EXPECT_EQ(uint16_t{view<tcp::DataPdu>(read)->cccid}, 5);
  EXPECT_NE(view<tcp::DataPdu>(read)->ch.flags & tcp::kFlagSuccess, 0);
  EXPECT_EQ(requests.receive(command(workload_of(Direction::kWrite, 4096), 6)), 1u);
  const auto written = take(requests.answers());
  ASSERT_EQ(written.size(), 24u);
  EXPECT_EQ(uint16_t{view<tcp::CapsuleResp>(written)->cqe.cid}, 6);
}

TEST(RawRequests, AsksForTheDataOfALongWriteAndAnswersItWhenAllOfItIsThere) {
  RawMedium medium(RawMedium::Kind::kHot, workload_of(Direction::kWrite, kIoBytes));
  RawRequests requests(medium);
  EXPECT_EQ(requests.receive(command(workload_of(Direction::kWrite, kIoBytes), 7)), 0u);
  const auto asked = take(requests.answers());
  ASSERT_EQ(asked.size(), sizeof(tcp::R2t));
  const auto& r2t = *view<tcp::R2t>(asked);
  EXPECT_EQ(r2t.ch.type, uint8_t(tcp::PduType::kR2t));
  EXPECT_EQ(uint32_t{r2t.r2tl}, kIoBytes);
  std::vector<std::byte> data;
  for_each_h2c_data(r2t, kIoBytes / 2, [&](const tcp::DataPdu& header) {
    const auto bytes = bytes_of(header);
    data.insert(data.end(), bytes.begin(), bytes.end());
    data.resize(data.size() + header.datal);
  });
  EXPECT_EQ(requests.receive(std::span(data).first(data.size() - 1)), 0u);
  EXPECT_FALSE(requests.has_answers());
  EXPECT_EQ(requests.receive(std::span(data).last(1)), 1u);
  EXPECT_EQ(uint16_t{view<tcp::CapsuleResp>(take(requests.answers()))->cqe.cid}, 7);
}

}  // namespace
}  // namespace weft::bench
