// What peers do wrong is in the log: who, and what; and a storm of it is one line a second.
#include "transport/event_log.h"

#include <gtest/gtest.h>

#include "transport/tcp/test_support.h"

namespace weft::tcp {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit

/// A peer that has sent ICReq; its messages go to the log of the target.
class EventLogTest : public ::testing::Test {
 protected:
  EventLogTest() : peer_(std::make_unique<TestPeer>(target_, PeerOptions{})) {
    peer_->send(ic_req({}));
    peer_->take();
    target_.sink.lines.clear();
  }
  void expect_line(std::string_view reason) {
    ASSERT_EQ(target_.sink.lines.size(), 1u);
    EXPECT_EQ(target_.sink.lines.front(), fmt::format("tcp: 127.0.0.1 port 0: {} (0 more not shown)", reason));
  }
  nvme::Sqe read() { return io_sqe(nvme::IoOpcode::kRead, 7, 0, 1, nvme::SglDescriptor::kTransportDataBlock); }

  TestTarget target_{small_limits()};
  std::unique_ptr<TestPeer> peer_;
};

TEST_F(EventLogTest, AWrongPdu) {
  peer_->send(ic_req({}));
  expect_line("wrong PDU of type 00h, FES 2 FEI 0h; the connection ends");
}

TEST_F(EventLogTest, ATerminationRequestOfThePeer) {
  TermReq request{};
  request.ch = {.type = uint8_t(PduType::kH2cTermReq), .flags = 0, .hlen = 24, .pdo = 0, .plen = 24};
  request.fes = 3;
  request.fei = 0x1234;
  peer_->send(bytes_of(request));
  expect_line("the peer ends the connection, FES 3 FEI 1234h");
}

TEST_F(EventLogTest, ACommandBeforeConnect) {
  peer_->send(capsule(read(), {}, {}));
  expect_line("command 02h with CID 7 on queue 0: Command Sequence Error");
}

TEST_F(EventLogTest, APeerThatDoesNotConnect) {
  peer_->advance(seconds(10));
  expect_line("no Connect in time; the connection ends");
}

TEST_F(EventLogTest, APeerThatTakesNothing) {
  peer_->connection().on_closed({net::Closing::Reason::kStalled});
  peer_->is_closed = true;
  expect_line("has taken no byte for 30000 ms; the connection ends");
}

TEST_F(EventLogTest, APeerThatLeavesIsNoEvent) {
  peer_->hang_up();
  EXPECT_TRUE(target_.sink.lines.empty());
}

TEST_F(EventLogTest, AStormIsOneLineASecond) {
  for (int i = 0; i < 100; ++i) peer_->send(capsule(read(), {}, {}));
  EXPECT_EQ(target_.sink.lines.size(), 1u);
  target_.advance(seconds(1));
  peer_->send(capsule(read(), {}, {}));
  ASSERT_EQ(target_.sink.lines.size(), 2u);
  EXPECT_TRUE(target_.sink.lines.back().ends_with("(99 more not shown)")) << target_.sink.lines.back();
}

TEST(IsBreach, IsWhatNoProperHostCauses) {
  EXPECT_TRUE(transport::is_breach(nvme::status::kSglLengthInvalid.with_dnr()));
  EXPECT_FALSE(transport::is_breach(nvme::status::kSuccess));
  EXPECT_FALSE(transport::is_breach(nvme::status::kLbaOutOfRange.with_dnr()));
}

}  // namespace
}  // namespace weft::tcp
