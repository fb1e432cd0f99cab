// The acceptor over the in-memory network: connections come, are counted, and go.
#include "transport/tcp/acceptor.h"

#include <gtest/gtest.h>

#include "transport/tcp/test_server.h"

namespace weft::tcp {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit

class AcceptorTest : public ::testing::Test {
 protected:
  static Limits limits() {
    Limits limits = small_limits();
    limits.connections = 2;
    return limits;
  }
  net::MemoryStream& connect() {
    clients_.push_back(std::make_unique<net::MemoryStream>(server_.connect()));
    server_.target.run();
    return *clients_.back();
  }
  static void send(net::MemoryStream& stream, Bytes bytes) {
    const iovec piece{bytes.data(), bytes.size()};
    EXPECT_EQ(stream.send({&piece, 1}).bytes, bytes.size());
  }
  static net::Transfer receive(net::MemoryStream& stream) {
    std::byte buffer[1024];
    const iovec piece{buffer, sizeof buffer};
    return stream.receive({&piece, 1});
  }

  Limits limits_ = limits();
  TestServer server_{limits_};
  std::vector<std::unique_ptr<net::MemoryStream>> clients_;
};

TEST_F(AcceptorTest, ANewConnectionAnswersIcReq) {
  net::MemoryStream& client = connect();
  send(client, ic_req({}));
  server_.target.run();
  EXPECT_EQ(receive(client).bytes, sizeof(IcResp));
  EXPECT_EQ(server_.acceptor->totals().connections, 1u);
}

TEST_F(AcceptorTest, AConnectionThatGoesMakesRoomForAnother) {
  connect();
  connect();
  EXPECT_EQ(receive(connect()).kind, net::Transfer::Kind::kEnd);
  EXPECT_EQ(server_.acceptor->totals().refused, 1u);
  clients_.front()->close();
  server_.target.run();
  EXPECT_EQ(server_.acceptor->totals().connections, 1u);
  EXPECT_EQ(receive(connect()).kind, net::Transfer::Kind::kWouldBlock);
}

TEST_F(AcceptorTest, APeerThatSaysNothingIsDroppedInTime) {
  net::MemoryStream& client = connect();
  server_.target.advance(milliseconds(limits_.handshake_ms) + milliseconds(10));
  EXPECT_EQ(receive(client).kind, net::Transfer::Kind::kEnd);
  EXPECT_EQ(server_.acceptor->totals().timeouts, 1u);
}

TEST_F(AcceptorTest, AStopEndsAConnectionThatHasSaidNothing) {
  net::MemoryStream& client = connect();
  bool is_stopped = false;
  server_.target.target->stop([&] { is_stopped = true; });
  for (int i = 0; i < 10; ++i) server_.target.advance(milliseconds(10));
  EXPECT_TRUE(is_stopped);
  EXPECT_EQ(receive(client).kind, net::Transfer::Kind::kEnd);
}

TEST_F(AcceptorTest, AListenerThatIsTakenAwayTakesNobodyAndItsConnectionsGoOn) {
  net::MemoryStream& client = connect();
  EXPECT_EQ(server_.acceptor->unlisten({"127.0.0.1", 1, false}).error().code, Errc::kNotFound);
  ASSERT_TRUE(server_.acceptor->unlisten(server_.address()));
  EXPECT_EQ(receive(connect()).kind, net::Transfer::Kind::kError);  // refused
  send(client, ic_req({}));
  server_.target.run();
  EXPECT_EQ(receive(client).bytes, sizeof(IcResp));
  ASSERT_TRUE(server_.acceptor->listen(server_.address()));
  send(connect(), ic_req({}));
  server_.target.run();
  EXPECT_EQ(receive(*clients_.back()).bytes, sizeof(IcResp));
}

}  // namespace
}  // namespace weft::tcp
