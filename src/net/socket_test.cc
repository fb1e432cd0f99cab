// The pump over the in-memory network, with a protocol that counts: records of one length byte and that many bytes, echoed.
#include "net/socket.h"

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>

#include "core/test_support.h"
#include "net/memory_net.h"

namespace weft::net {
namespace {

/// Echoes records | length 1 | bytes |; a record of 'D' and more wants the rest received directly.
class EchoProtocol {
 public:
  static constexpr size_t kPartialMax = 256;

  size_t received(std::span<const std::byte> bytes, Instant) {
    ++receives;
    size_t at = 0;
    while (at < bytes.size() && credits > 0) {
      const size_t length = size_t(bytes[at]);
      if (bytes.size() - at < 1 + length) {
        if (!is_direct_wanted) break;
        record.assign(length, std::byte{});
        filled = bytes.size() - at - 1;
        std::memcpy(record.data(), bytes.data() + at + 1, filled);
        return bytes.size();
      }
      answer(bytes.subspan(at + 1, length));
      at += 1 + length;
    }
    return at;
  }
  size_t receive_max() const { return credits > 0 ? 4096 : 0; }
  std::span<std::byte> direct() { return std::span(record).subspan(filled); }
  void direct_received(size_t count, Instant) {
    direct_bytes += count;
    filled += count;
    if (filled < record.size()) return;
    answer(record);
    record.clear();
    filled = 0;
  }
  std::span<const iovec> pending(std::span<iovec> room) {
    if (out.empty()) return {};
    room[0] = {out.data(), out.size()};
    return room.first(1);
  }
  bool has_pending() const { return !out.empty(); }
  void sent(size_t count, Instant) {
    ++sends;
    out.erase(0, count);
    if (farewell.empty() || !out.empty()) return;
    out = std::exchange(farewell, {});
    wished = Wish::kCloseSent;
  }
  Wish wish() const { return wished; }
  Instant next_deadline() const { return deadline; }
  void on_time(Instant) {
    ++times;
    deadline = Instant::never();
  }
  void on_closed(Closing why) { closing = why; }

  bool is_direct_wanted = false;
  int credits = 1000;  // records it takes before it pauses
  Wish wished = Wish::kStay;
  Instant deadline = Instant::never();
  Outlet* outlet = nullptr;
  std::string out, heard;
  std::string farewell;  // said once the rest has been sent, and then it wishes kCloseSent
  std::vector<std::byte> record;
  size_t filled = 0, direct_bytes = 0, receives = 0, sends = 0, times = 0;
  std::optional<Closing> closing;

 private:
  void answer(std::span<const std::byte> bytes) {
    --credits;
    heard.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    outlet->wants_send();
  }
};

/// One pumped connection and its raw peer.
class SocketTest : public ::testing::Test, private ListenerEvents<MemoryLink> {
 protected:
  void connect(const MemoryNet::Options& options) {
    net_.emplace(options);
    reactor_.add(*net_);
    reactor_.add(sockets_);
    listener_ = *net_->listen({"127.0.0.1", 4420, false}, *this);
    peer_.emplace(std::move(*net_->connect({"127.0.0.1", 4420, false})));
    run();
    ASSERT_TRUE(socket_.has_value());
  }
  void TearDown() override {
    if (socket_) socket_->close({Closing::Reason::kProtocol});
    socket_.reset();
    reactor_.remove(sockets_);
    if (net_) reactor_.remove(*net_);
  }
  void run() {
    while (reactor_.run_once() == Reactor::Turn::kWorked) {}
  }
  void advance(Duration by) {
    clock_.advance(by);
    run();
  }
  void say(std::string_view text) {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    ASSERT_EQ(peer_->send({&piece, 1}).bytes, text.size());
  }
  std::string hear(size_t most) {
    std::string text(most, 0);
    const iovec piece{text.data(), text.size()};
    text.resize(peer_->receive({&piece, 1}).bytes);
    return text;
  }

  testing_support::ManualClock clock_;
  testing_support::NullSink sink_;
  Reactor reactor_{{}, clock_, sink_};
  Sockets sockets_{reactor_, {.receive_bytes = 1024, .send_iovecs = 4, .partial_bytes = 256, .stalled_send = seconds(30)}};
  std::optional<MemoryNet> net_;
  std::unique_ptr<MemoryListener> listener_;
  std::optional<MemoryStream> peer_;
  EchoProtocol protocol_;
  std::optional<Socket<MemoryNet, EchoProtocol>> socket_;

 private:
  void on_accepted(MemoryLink link, const Address&) override {
    socket_.emplace(sockets_, net_->adopt(std::move(link)), protocol_);
    protocol_.outlet = &*socket_;
    ASSERT_TRUE(socket_->start().has_value());
  }
};

TEST_F(SocketTest, AnswersManyRecordsWithOneReceiveAndOneSend) {
  connect({});
  say("\3abc\2de\1f");
  run();
  EXPECT_EQ(hear(100), "abcdef");
  EXPECT_EQ(protocol_.receives, 1u);
  EXPECT_EQ(protocol_.sends, 1u);
}

TEST_F(SocketTest, KeepsAPartialRecordAcrossOneByteSegments) {
  connect({.segment_bytes = 1});
  say("\3abc\2de");
  run();
  EXPECT_EQ(hear(1), "a");
  EXPECT_EQ(protocol_.heard, "abcde");
}

TEST_F(SocketTest, ReceivesALargePayloadWhereTheProtocolWantsIt) {
  connect({.segment_bytes = 40});
  protocol_.is_direct_wanted = true;
  say("\144" + std::string(100, 'x') + "\2yz");
  run();
  EXPECT_EQ(protocol_.heard, std::string(100, 'x') + "yz");
  EXPECT_EQ(protocol_.direct_bytes, 61u);
}

TEST_F(SocketTest, WaitsForRoomAfterAPartialSend) {
  connect({.capacity = 4});
  say("\3abc");
  run();
  say("\3def");
  run();
  EXPECT_EQ(hear(4), "abcd");
  run();
  EXPECT_EQ(hear(4), "ef");
}

TEST_F(SocketTest, DropsAPeerThatTakesNoByteForTheStallTime) {
  connect({.capacity = 4});
  say("\3abc");
  run();
  say("\3def");
  run();
  advance(seconds(29));
  EXPECT_TRUE(socket_->is_open());
  advance(seconds(2));
  ASSERT_TRUE(protocol_.closing.has_value());
  EXPECT_EQ(protocol_.closing->reason, Closing::Reason::kStalled);
}

TEST_F(SocketTest, StallTimeStartsAnewWithEveryByteTaken) {
  connect({.capacity = 4});
  say("\3abc");
  run();
  say("\3def");
  run();
  advance(seconds(20));
  EXPECT_EQ(hear(1), "a");
  run();
  advance(seconds(20));
  EXPECT_TRUE(socket_->is_open());
}

TEST_F(SocketTest, ReportsThePeersEnd) {
  connect({});
  say("\1a");
  peer_->close();
  run();
  EXPECT_EQ(protocol_.heard, "a");
  ASSERT_TRUE(protocol_.closing.has_value());
  EXPECT_NE(protocol_.closing->reason, Closing::Reason::kProtocol);
  EXPECT_FALSE(socket_->is_open());
}

TEST_F(SocketTest, FinishSendsWhatIsPendingThenHalfClosesAndDropsInput) {
  connect({});
  say("\1a");
  protocol_.wished = Wish::kFinish;
  protocol_.out = "bye";
  socket_->wants_send();
  run();
  EXPECT_EQ(protocol_.heard, "");
  EXPECT_EQ(hear(10), "bye");
  char byte;
  const iovec piece{&byte, 1};
  EXPECT_EQ(peer_->receive({&piece, 1}).kind, Transfer::Kind::kEnd);
  EXPECT_TRUE(socket_->is_open());
}

TEST_F(SocketTest, CloseSentSendsWhatIsPendingAndCloses) {
  connect({});
  protocol_.wished = Wish::kCloseSent;
  protocol_.out = "bye";
  socket_->wants_send();
  run();
  EXPECT_FALSE(socket_->is_open());
  EXPECT_EQ(hear(10), "bye");
}

TEST_F(SocketTest, CloseSentSendsAlsoWhatIsSaidOnlyWhenTheRestIsSent) {
  connect({});
  protocol_.out = "data";
  protocol_.farewell = "bye";
  socket_->wants_send();
  run();
  EXPECT_FALSE(socket_->is_open());
  EXPECT_EQ(hear(10), "databye");
}

TEST_F(SocketTest, CloseSentClosesAlsoWhenThePeerTakesNothing) {
  connect({.capacity = 4});
  say("\3abc");
  run();
  say("\3def");
  run();
  protocol_.wished = Wish::kCloseSent;
  socket_->wants_send();
  run();
  EXPECT_FALSE(socket_->is_open());
}

TEST_F(SocketTest, APausedProtocolGetsTheWholeRestWhenItGoesOn) {
  connect({});
  protocol_.credits = 1;
  std::string records;
  for (int i = 0; i < 200; ++i) records += "\2xy";  // longer than a partial buffer
  say("\1a" + records);
  run();
  EXPECT_EQ(protocol_.heard, "a");
  say("\1z");
  run();
  EXPECT_EQ(protocol_.heard, "a");
  for (int i = 0; i < 201; ++i) {
    protocol_.credits = 1;
    socket_->wants_receive();
    run();
  }
  EXPECT_EQ(protocol_.heard.size(), 402u);
  EXPECT_EQ(protocol_.heard.back(), 'z');
}

TEST_F(SocketTest, ClosesAtOnceWhenTheProtocolWishesIt) {
  connect({});
  protocol_.wished = Wish::kClose;
  socket_->wants_send();
  run();
  ASSERT_TRUE(protocol_.closing.has_value());
  EXPECT_EQ(protocol_.closing->reason, Closing::Reason::kProtocol);
}

TEST_F(SocketTest, CallsOnTimeAtTheDeadlineAndNotBefore) {
  connect({});
  protocol_.deadline = reactor_.now() + seconds(5);
  socket_->wants_send();
  run();
  advance(seconds(4));
  EXPECT_EQ(protocol_.times, 0u);
  advance(seconds(2));
  EXPECT_EQ(protocol_.times, 1u);
}

/// Answers what it receives; writes its name each time, large for a receive.
class Answerer final : public SocketTurn {
 public:
  Answerer(char name, bool is_short, Sockets& sockets, std::string& order) : name_(name), is_short_(is_short), sockets_(sockets), order_(order) {}

 private:
  Rest receive_once() override {
    order_ += char(name_ - 'a' + 'A');
    sockets_.make_dirty(*this);
    return Rest::kNone;
  }
  Rest send_once() override {
    order_ += name_;
    return Rest::kNone;
  }
  bool answers_at_once() const override { return is_short_; }
  char name_;
  bool is_short_;
  Sockets& sockets_;
  std::string& order_;
};

/// Sends so many times, and writes its name each time.
class Sender final : public SocketTurn {
 public:
  Sender(char name, int sends, std::string& order) : name_(name), left_(sends), order_(order) {}

 private:
  Rest receive_once() override { return Rest::kNone; }
  Rest send_once() override {
    order_ += name_;
    return --left_ > 0 ? Rest::kMore : Rest::kNone;
  }
  char name_;
  int left_;
  std::string& order_;
};

TEST_F(SocketTest, TheRestOfALongAnswerGoesBehindWhatIsNew) {
  connect({});
  std::string order;
  Sender one('a', 3, order), other('b', 1, order);
  sockets_.make_dirty(one);
  EXPECT_EQ(sockets_.flush(), 2u);  // one turn, and one that waits
  sockets_.make_dirty(other);
  sockets_.make_dirty(one);  // waits already
  EXPECT_EQ(sockets_.flush(), 3u);
  EXPECT_EQ(sockets_.flush(), 1u);
  EXPECT_EQ(sockets_.flush(), 0u);
  EXPECT_EQ(order, "abaa");
}

TEST_F(SocketTest, AShortAnswerLeavesBeforeTheOthersAreReceived) {
  connect({});
  for (const bool is_short : {true, false}) {
    std::string order;
    Answerer one('a', is_short, sockets_, order), other('b', is_short, sockets_, order);
    sockets_.make_ready(one);
    sockets_.make_ready(other);
    sockets_.poll();
    sockets_.flush();
    EXPECT_EQ(order, is_short ? "AaBb" : "ABab");
  }
}

TEST_F(SocketTest, WhatWaitsToBeSentIsSentOncePerCycle) {
  connect({});
  std::string order;
  Answerer one('a', true, sockets_, order);
  sockets_.make_dirty(one);
  sockets_.make_ready(one);
  sockets_.poll();
  sockets_.flush();
  EXPECT_EQ(order, "Aa");
}

TEST_F(SocketTest, ABusyConnectionGetsOneReceivePerCycle) {
  connect({.segment_bytes = 2});
  say("\1a\1b\1c");
  reactor_.run_once();
  EXPECT_EQ(protocol_.heard, "a");
  reactor_.run_once();
  EXPECT_EQ(protocol_.heard, "ab");
}

}  // namespace
}  // namespace weft::net
