// Streams and listeners over real loopback sockets, both families.
#include "platform/linux/epoll_net.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <optional>

#include "core/test_support.h"
#include "platform/linux/socket_address.h"

namespace weft::platform {
namespace {

using net::Transfer;

struct Events final : net::StreamEvents {
  void on_readable() override { ++readable; }
  void on_writable() override { ++writable; }
  int readable = 0, writable = 0;
};

class EpollNetTest : public ::testing::Test, public net::ListenerEvents<UniqueFd> {
 protected:
  void SetUp() override { reactor_.add(*loop_); }
  void TearDown() override { reactor_.remove(*loop_); }
  /// Runs the reactor, asleep between events, until `done` or five seconds have passed.
  template <typename F>
  bool until(F done) {
    const Instant limit = loop_->now() + seconds(5);
    while (!done()) {
      if (loop_->now() >= limit) return false;
      if (reactor_.run_once() == Reactor::Turn::kIdle) loop_->wait(loop_->now() + milliseconds(20));
    }
    return true;
  }
  std::unique_ptr<SocketListener> listen(const net::Address& address) {
    auto listener = net_.listen(address, *this);
    EXPECT_TRUE(listener.has_value()) << listener.error().what();
    return std::move(*listener);
  }
  Transfer send(EpollStream& stream, std::string_view text) {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    return stream.send({&piece, 1});
  }
  Transfer receive(EpollStream& stream) {
    const iovec piece{buffer_, sizeof buffer_};
    return stream.receive({&piece, 1});
  }

  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create());
  testing_support::NullSink sink_;
  Reactor reactor_{{}, *loop_, sink_};
  EpollNet net_{*loop_, reactor_};
  std::vector<UniqueFd> accepted_;
  net::Address last_peer_;
  char buffer_[65536];

 private:
  void on_accepted(UniqueFd handle, const net::Address& peer) override {
    accepted_.push_back(std::move(handle));
    last_peer_ = peer;
  }
};

TEST_F(EpollNetTest, BytesArriveWithAnEventAndAShortReceiveIsExhausted) {
  auto listener = listen({"127.0.0.1", 0, false});
  ASSERT_NE(listener->address().port, 0);
  auto client = net_.connect(listener->address());
  ASSERT_TRUE(client.has_value());
  ASSERT_TRUE(until([&] { return accepted_.size() == 1; }));
  EpollStream server = net_.adopt(std::move(accepted_[0]));
  EXPECT_EQ(server.local_address(), listener->address());
  EXPECT_EQ(server.peer_address(), client->local_address());
  Events events;
  ASSERT_TRUE(server.watch(events).has_value());
  EXPECT_EQ(send(*client, "hello").bytes, 5u);
  ASSERT_TRUE(until([&] { return events.readable > 0; }));
  const Transfer transfer = receive(server);
  EXPECT_EQ(transfer.bytes, 5u);
  EXPECT_TRUE(transfer.is_exhausted);
  EXPECT_EQ(receive(server).kind, Transfer::Kind::kWouldBlock);
}

TEST_F(EpollNetTest, AnEndThatCameWithTheLastBytesIsNotMissed) {
  auto listener = listen({"127.0.0.1", 0, false});
  auto client = net_.connect(listener->address());
  ASSERT_TRUE(until([&] { return accepted_.size() == 1; }));
  EpollStream server = net_.adopt(std::move(accepted_[0]));
  send(*client, "bye");
  client->close();
  Events events;
  ASSERT_TRUE(server.watch(events).has_value());
  ASSERT_TRUE(until([&] { return events.readable > 0; }));
  const Transfer transfer = receive(server);
  EXPECT_EQ(transfer.bytes, 3u);
  EXPECT_FALSE(transfer.is_exhausted);
  EXPECT_EQ(receive(server).kind, Transfer::Kind::kEnd);
}

TEST_F(EpollNetTest, AFullStreamReportsWhenItTakesBytesAgain) {
  auto listener = listen({"127.0.0.1", 0, false});
  auto client = net_.connect(listener->address());
  ASSERT_TRUE(until([&] { return accepted_.size() == 1; }));
  EpollStream server = net_.adopt(std::move(accepted_[0]));
  Events server_events, client_events;
  ASSERT_TRUE(server.watch(server_events).has_value());
  ASSERT_TRUE(client->watch(client_events).has_value());
  ASSERT_TRUE(until([&] { return server_events.writable > 0; }));
  const std::string block(1 << 20, 'x');
  Transfer transfer = send(server, block);
  while (transfer.kind == Transfer::Kind::kBytes && !transfer.is_exhausted) transfer = send(server, block);
  server_events.writable = 0;
  ASSERT_TRUE(until([&] {
    while (receive(*client).kind == Transfer::Kind::kBytes) {}
    return server_events.writable > 0;
  }));
  EXPECT_EQ(send(server, "more").bytes, 4u);
}

TEST_F(EpollNetTest, ARefusedConnectIsAnErrorOfTheStream) {
  auto listener = listen({"127.0.0.1", 0, false});
  const net::Address address = listener->address();
  listener.reset();
  auto client = net_.connect(address);
  if (!client) return;  // the system may say so at once
  Events events;
  ASSERT_TRUE(client->watch(events).has_value());
  ASSERT_TRUE(until([&] { return events.readable > 0; }));
  const Transfer transfer = receive(*client);
  EXPECT_EQ(transfer.kind, Transfer::Kind::kError);
  EXPECT_EQ(transfer.error_number, ECONNREFUSED);
}

TEST_F(EpollNetTest, AWildcardIpv6ListenerTakesIpv4AndCallsItIpv4) {
  auto listener = net_.listen({"::", 0, true}, *this);
  if (!listener) GTEST_SKIP() << "no IPv6 here: " << listener.error().what();
  auto client = net_.connect({"127.0.0.1", (*listener)->address().port, false});
  ASSERT_TRUE(client.has_value());
  ASSERT_TRUE(until([&] { return accepted_.size() == 1; }));
  EXPECT_EQ(last_peer_.host, "127.0.0.1");
  EXPECT_FALSE(last_peer_.is_ipv6);
  EXPECT_EQ(last_peer_, client->local_address());
}

TEST_F(EpollNetTest, RefusesAnAddressThatIsNotNumericAndOneInUse) {
  EXPECT_EQ(net_.connect({"localhost", 1, false}).error().code, Errc::kInvalid);
  auto listener = listen({"127.0.0.1", 0, false});
  const auto second = net_.listen(listener->address(), *this);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().what().find(to_text(listener->address())), std::string_view::npos);
}

TEST_F(EpollNetTest, WithoutDescriptorsTheListenerPausesAndGoesOnLater) {
  auto listener = listen({"127.0.0.1", 0, false});
  auto client = net_.connect(listener->address());
  ASSERT_TRUE(client.has_value());
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  until([&] { return reactor_.run_once() == Reactor::Turn::kWorked; });  // the event that finds no descriptor
  const auto after_pause = reactor_.run_once();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(after_pause, Reactor::Turn::kIdle);
  EXPECT_TRUE(accepted_.empty());
  EXPECT_TRUE(until([&] { return accepted_.size() == 1; }));
}

}  // namespace
}  // namespace weft::platform
