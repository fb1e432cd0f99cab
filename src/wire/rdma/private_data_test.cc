// Private data as Linux hosts and targets send it.
#include "wire/rdma/private_data.h"

#include "wire/test_bytes.h"

#include <gtest/gtest.h>

namespace weft::rdma {
namespace {

TEST(RdmaPrivateData, ReadsARequestOfALinuxHost) {
  const auto data = from_bytes<RequestData>({{0, {0, 0, 2, 0, 128, 0, 127, 0, 5, 0}}});
  const auto request = decode_request(bytes_of(data));
  ASSERT_TRUE(request);
  EXPECT_EQ(*request, (Request{.qid = 2, .receive_entries = 128, .send_entries = 128, .cntlid = 5}));
  EXPECT_EQ(bytes_at(encode(*request), 0, sizeof data), bytes_at(data, 0, sizeof data));
  EXPECT_EQ(to_text(data), "RDMA request recfmt 0 qid 2 hrqsize 128 hsqsize 127 cntlid 0x0005");
}

TEST(RdmaPrivateData, TakesARequestThatTheConnectionManagerHasPadded) {
  std::array<std::byte, 56> padded{};
  padded[2] = std::byte{7};
  const auto request = decode_request(padded);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->qid, 7);
}

TEST(RdmaPrivateData, TheLargestSendQueueHas65536Entries) {
  const RequestData data = encode(Request{.send_entries = 65536});
  EXPECT_EQ(uint16_t{data.hsqsize}, 0xffff);
  EXPECT_EQ(decode_request(bytes_of(data))->send_entries, 65536u);
}

TEST(RdmaPrivateData, RefusesARequestThatIsShortOrOfAnotherFormat) {
  auto data = encode(Request{.qid = 1});
  EXPECT_EQ(decode_request(bytes_of(data).first(31)).error(), RejectStatus::kInvalidLength);
  data.recfmt = uint16_t{1};
  EXPECT_EQ(decode_request(bytes_of(data)).error(), RejectStatus::kInvalidRecfmt);
}

TEST(RdmaPrivateData, AcceptRoundTripAndDump) {
  const AcceptData data = encode_accept(129);
  EXPECT_EQ(bytes_at(data, 0, 5), (std::vector<uint8_t>{0, 0, 129, 0, 0}));
  EXPECT_EQ(decode_accept(bytes_of(data)), 129);
  EXPECT_EQ(decode_accept(bytes_of(data).first(31)), 0);
  EXPECT_EQ(to_text(data), "RDMA accept recfmt 0 crqsize 129");
}

TEST(RdmaPrivateData, AnAcceptOfAnotherFormatGrantsNothing) {
  AcceptData data = encode_accept(129);
  data.recfmt = uint16_t{2};
  EXPECT_EQ(decode_accept(bytes_of(data)), 0);
}

TEST(RdmaPrivateData, RejectRoundTripAndDump) {
  const RejectData data = encode(RejectStatus::kNoResources);
  EXPECT_EQ(bytes_at(data, 0, 4), (std::vector<uint8_t>{0, 0, 6, 0}));
  EXPECT_EQ(decode_reject(bytes_of(data)), RejectStatus::kNoResources);
  EXPECT_EQ(to_text(data), "RDMA reject recfmt 0 sts 6 (no resources)");
  EXPECT_EQ(to_text(encode(RejectStatus(77))), "RDMA reject recfmt 0 sts 77 (Unknown)");
}

TEST(RdmaPrivateData, ARejectThatSaysNothingReadable) {
  EXPECT_EQ(decode_reject({}), RejectStatus::kInvalidLength);
  EXPECT_EQ(decode_reject(bytes_of(RejectData{.recfmt = uint16_t{9}, .sts = uint16_t{6}})),
            RejectStatus::kInvalidRecfmt);
}

}  // namespace
}  // namespace weft::rdma
