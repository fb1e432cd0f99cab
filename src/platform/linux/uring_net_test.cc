// What the conformance suite does not ask of the network over io_uring: its sleep, its buffers, and a system that forbids it.
#include "platform/linux/uring_net.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string_view>

#include "core/test_support.h"
#include "platform/linux/network.h"

namespace weft::platform {
namespace {

using net::Transfer;

struct Events final : net::StreamEvents {
  void on_readable() override { ++readable; }
  void on_writable() override {}
  int readable = 0;
};

class UringNetTest : public ::testing::Test, public net::ListenerEvents<UniqueFd> {
 protected:
  struct End {
    explicit End(UringStream of) : stream(std::move(of)) { EXPECT_TRUE(stream.watch(events).has_value()); }
    UringStream stream;
    Events events;
  };

  void SetUp() override {
    auto net = UringNet::create(*loop_, reactor_);
    if (!net) GTEST_SKIP() << net.error().what();
    net_ = std::move(*net);
    reactor_.add(*loop_);
    listener_ = net_->listen({"127.0.0.1", 0, false}, *this).value();
  }
  void TearDown() override {
    if (net_ != nullptr) reactor_.remove(*loop_);
  }
  template <typename F>
  bool until(F done) {
    const Instant limit = loop_->now() + seconds(20);
    while (!done()) {
      if (loop_->now() >= limit) return false;
      if (reactor_.run_once() == Reactor::Turn::kIdle) loop_->wait(loop_->now() + milliseconds(20));
    }
    return true;
  }
  void come_to_rest() {
    while (reactor_.run_once() == Reactor::Turn::kWorked) {}
  }
  /// A watched server end, and its client: a bare socket.
  std::unique_ptr<End> connect(UniqueFd& client) {
    client = connect_socket(listener_->address()).value();
    EXPECT_TRUE(until([&] { return accepted_.is_open(); }));
    return std::make_unique<End>(net_->adopt(std::exchange(accepted_, UniqueFd{})));
  }
  static Transfer receive(UringStream& stream, std::span<char> room) {
    const iovec piece{room.data(), room.size()};
    return stream.receive({&piece, 1});
  }
  static void say(const UniqueFd& client, std::string_view text) {
    EXPECT_EQ(::write(client.get(), text.data(), text.size()), ssize_t(text.size()));
  }

  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create());
  testing_support::NullSink sink_;
  Reactor reactor_{{}, *loop_, sink_};
  std::unique_ptr<UringNet> net_;
  std::unique_ptr<SocketListener> listener_;
  UniqueFd accepted_;

 private:
  void on_accepted(UniqueFd handle, const net::Address&) override { accepted_ = std::move(handle); }
};

TEST_F(UringNetTest, BytesWakeAReactorThatSleepsAndNothingElseDoes) {
  UniqueFd client;
  auto server = connect(client);
  for (int round = 0; round < 3; ++round) {
    come_to_rest();
    const Instant asleep = loop_->now();
    loop_->wait(asleep + milliseconds(30));
    EXPECT_GE(loop_->now() - asleep, milliseconds(30)) << "woken by nothing";
    server->events.readable = 0;
    say(client, "x");
    const Instant sent = loop_->now();
    loop_->wait(sent + seconds(20));
    EXPECT_LT(loop_->now() - sent, seconds(10)) << "not woken";
    ASSERT_TRUE(until([&] { return server->events.readable == 1; }));
    char room[16];
    const Transfer transfer = receive(server->stream, room);
    EXPECT_EQ(transfer.bytes, 1u);
    EXPECT_TRUE(transfer.is_exhausted);
  }
}

TEST_F(UringNetTest, WhenAllBuffersAreHeldOthersStillReceive) {
  constexpr size_t kEnds = ReceiveBuffers::kCount + 2;
  std::vector<UniqueFd> clients(kEnds);
  std::vector<std::unique_ptr<End>> servers;
  for (UniqueFd& client : clients) servers.push_back(connect(client));
  for (const UniqueFd& client : clients) say(client, "here");
  for (const auto& server : servers) ASSERT_TRUE(until([&] { return server->events.readable > 0; }));
  char room[16];
  for (const auto& server : servers) EXPECT_EQ(receive(server->stream, room).bytes, 4u);
}

TEST_F(UringNetTest, AStreamThatClosesGivesItsBufferBack) {
  for (unsigned i = 0; i <= ReceiveBuffers::kCount; ++i) {  // each with bytes that nobody reads
    UniqueFd client;
    auto server = connect(client);
    say(client, "x");
    ASSERT_TRUE(until([&] { return server->events.readable > 0; }));
  }
  UniqueFd client;
  auto server = connect(client);
  const std::string long_text(ReceiveBuffers::kBufferBytes + 1, 'x');
  say(client, long_text);
  ASSERT_TRUE(until([&] { return server->events.readable > 0; }));
  // A buffer's worth at a time: without a buffer, all of it would come at once.
  std::vector<char> room(long_text.size());
  EXPECT_EQ(receive(server->stream, room).bytes, ReceiveBuffers::kBufferBytes);
  EXPECT_EQ(receive(server->stream, room).bytes, 1u);
}

TEST_F(UringNetTest, BytesThatCameAndWereNotSeenMakeTheClosingAReset) {
  UniqueFd client;
  auto server = connect(client);
  come_to_rest();
  say(client, "x");
  server->stream.close();
  char byte;
  ssize_t received = -1;
  ASSERT_TRUE(until([&] { return (received = ::read(client.get(), &byte, 1)) >= 0 || errno != EAGAIN; }));
  EXPECT_EQ(received, -1);
  EXPECT_EQ(errno, ECONNRESET);
}

/// In a process of its own, since a filter is for ever.
[[noreturn]] void make_network_where_it_is_forbidden() {
  constexpr auto kDeny = uint32_t(SECCOMP_RET_ERRNO | EPERM);
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kDeny),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(rules), .filter = rules};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) std::_Exit(2);
  auto loop = EventLoop::create();
  testing_support::NullSink sink;
  Reactor reactor{{}, **loop, sink};
  const auto refused = make_network(NetworkChoice::kUring, **loop, reactor);
  if (!refused) std::fprintf(stderr, "%s\n", refused.error().text);
  std::_Exit(!refused && make_network(NetworkChoice::kEpoll, **loop, reactor).has_value() ? 0 : 1);
}

TEST(UringNetDeathTest, WhereItIsForbiddenItSaysSoAndEpollWorks) {
  EXPECT_EXIT(make_network_where_it_is_forbidden(), ::testing::ExitedWithCode(0),
              "network io_uring: io_uring is forbidden .*; the network epoll needs none");
}

}  // namespace
}  // namespace weft::platform
