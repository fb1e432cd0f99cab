// What every network promises (src/net/stream.h), asked of each through a small class, its *world*: three reactors (a
// server's two and a client's), a Net on each, and what lets time pass. Who adds a network writes a world and
// instantiates StreamConformance with it.
#pragma once
#include "base/prng.h"
#include "core/reactor.h"
#include "net/stream.h"
#include "tests/conformance/stream_end.h"

#include <cerrno>
#include <concepts>
#include <deque>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <string>

namespace weft::conformance {

/// Whose reactor: the server listens on the first of its two and may adopt on either; the client may share the first.
enum class Place : uint8_t { kServer, kOther, kClient };

template <typename W>
concept StreamWorld = net::Net<typename W::Net> && requires(W world, Place place) {
  { world.net(place) } -> std::same_as<typename W::Net&>;
  { world.reactor(place) } -> std::same_as<Reactor&>;
  { world.turn() };                                            // each reactor once, and a little time
  { world.settle() };                                          // until nothing more happens by itself
  { world.listen_address() } -> std::same_as<net::Address>;    // port 0
  { world.wildcard_address() } -> std::same_as<net::Address>;  // port 0, takes listen_address() too
  { world.unused_address() } -> std::same_as<net::Address>;    // nobody listens there
  { W::kBigBytes } -> std::convertible_to<size_t>;             // what a big transfer is
};

template <StreamWorld W>
class StreamConformance : public ::testing::Test, public net::ListenerEvents<typename W::Net::Handle> {
 protected:
  using Net = typename W::Net;
  using Handle = typename Net::Handle;
  using End = StreamEnd<Net>;

  /// Turns until `done`; false after a long time.
  template <std::predicate F>
  bool until(F done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      world_.turn();
    }
    return true;
  }
  void listen() { listen(world_.listen_address()); }
  void listen(const net::Address& address) {
    const Outside inside{is_outside_};
    auto listener = world_.net(Place::kServer).listen(address, *this);
    ASSERT_TRUE(listener.has_value()) << listener.error().what();
    listener_ = std::move(*listener);
  }
  std::unique_ptr<End> dial(const net::Address& address) {
    const Outside inside{is_outside_};
    auto stream = world_.net(Place::kClient).connect(address);
    EXPECT_TRUE(stream.has_value()) << stream.error().what();
    return std::make_unique<End>(std::move(*stream), is_outside_);
  }
  std::unique_ptr<End> adopt(Place place) {
    EXPECT_TRUE(until([&] { return !accepted_.empty(); }));
    Handle handle = std::move(accepted_.front());
    accepted_.pop_front();
    const Outside inside{is_outside_};
    return std::make_unique<End>(world_.net(place).adopt(std::move(handle)), is_outside_);
  }
  /// A connection, its ends not yet watched.
  void connect(Place place = Place::kServer) {
    listen();
    client_ = dial(listener_->address());
    server_ = adopt(place);
  }
  void connect_watched(Place place = Place::kServer) {
    connect(place);
    client_->watch();
    server_->watch();
  }
  /// Sends all of it, turning while the stream takes nothing.
  void say(End& end, std::string_view text) {
    ASSERT_TRUE(until([&] {
      const auto transfer = end.send(text);
      if (transfer.kind == net::Transfer::Kind::kBytes) text.remove_prefix(transfer.bytes);
      return text.empty() || transfer.kind == net::Transfer::Kind::kError;
    }));
    EXPECT_TRUE(text.empty()) << "an error instead";
  }
  /// The next `count` bytes, or what comes before an end, an error or a long time.
  std::string hear(End& end, size_t count) {
    std::string text;
    until([&] {
      const auto transfer = end.receive(text, count - text.size());
      return text.size() == count || transfer.kind == net::Transfer::Kind::kEnd ||
             transfer.kind == net::Transfer::Kind::kError;
    });
    return text;
  }
  /// Receives what is there. The kind of the last transfer: never kBytes.
  net::Transfer::Kind drain(End& end) {
    std::string ignored;
    for (;;) {
      const auto transfer = end.receive(ignored, 1 << 16);
      if (transfer.kind != net::Transfer::Kind::kBytes) return transfer.kind;
    }
  }
  /// Receives until there is something else than bytes and waiting.
  net::Transfer hear_ending(End& end) {
    net::Transfer last{.kind = net::Transfer::Kind::kWouldBlock};
    std::string ignored;
    until([&] {
      last = end.receive(ignored, 1 << 16);
      return last.kind == net::Transfer::Kind::kEnd || last.kind == net::Transfer::Kind::kError;
    });
    return last;
  }

  bool is_outside_ = true;  // of every call into the network: only then may events come
  W world_;
  std::deque<Handle> accepted_;
  std::deque<net::Address> peers_;
  std::unique_ptr<typename Net::Listener> listener_;
  std::unique_ptr<End> client_, server_;

 private:
  void on_accepted(Handle handle, const net::Address& peer) override {
    EXPECT_TRUE(is_outside_) << "accepted from inside a call";
    accepted_.push_back(std::move(handle));
    peers_.push_back(peer);
  }
};

TYPED_TEST_SUITE_P(StreamConformance);

using Kind = net::Transfer::Kind;

TYPED_TEST_P(StreamConformance, BytesArriveInOrderAndOnce) {
  this->connect_watched();
  this->say(*this->client_, "hello, ");
  this->say(*this->client_, "target");
  this->say(*this->server_, "hello, host");
  EXPECT_EQ(this->hear(*this->server_, 13), "hello, target");
  EXPECT_EQ(this->hear(*this->client_, 11), "hello, host");
  EXPECT_EQ(this->drain(*this->server_), Kind::kWouldBlock);
  EXPECT_EQ(this->drain(*this->client_), Kind::kWouldBlock);
}

TYPED_TEST_P(StreamConformance, AReceiveFillsItsPiecesInOrderAndASendTakesThemSo) {
  this->connect_watched();
  std::string sent = "abcdefghij";
  const iovec pieces[] = {{sent.data(), 1}, {sent.data() + 1, 6}, {sent.data() + 7, 3}};
  size_t taken = 0;
  ASSERT_TRUE(this->until([&] { return (taken = this->client_->send_pieces(pieces).bytes) > 0; }));
  ASSERT_LE(taken, sent.size());
  std::string heard(taken, '-');
  for (size_t received = 0; received < taken;) {
    const size_t left = taken - received, first = std::min<size_t>(left, 2);
    const iovec targets[] = {{heard.data() + received, first}, {heard.data() + received + first, left - first}};
    ASSERT_TRUE(this->until([&] {
      const net::Transfer transfer = this->server_->receive_pieces(targets);
      received += transfer.bytes;
      return transfer.kind == Kind::kBytes;
    }));
  }
  EXPECT_EQ(heard, sent.substr(0, taken));
}

TYPED_TEST_P(StreamConformance, TheListenerSaysItsRealPortAndTheEndsAgreeOnTheirAddresses) {
  this->connect();
  EXPECT_NE(this->listener_->address().port, 0);
  EXPECT_EQ(this->client_->stream.peer_address(), this->listener_->address());
  EXPECT_EQ(this->server_->stream.local_address(), this->listener_->address());
  EXPECT_EQ(this->server_->stream.peer_address(), this->client_->stream.local_address());
  EXPECT_EQ(this->peers_.front(), this->client_->stream.local_address());
}

TYPED_TEST_P(StreamConformance, AWildcardListenerIsReachedAndTheStreamKnowsTheRealAddress) {
  this->listen(this->world_.wildcard_address());
  net::Address address = this->world_.listen_address();
  address.port = this->listener_->address().port;
  this->client_ = this->dial(address);
  this->server_ = this->adopt(Place::kServer);
  EXPECT_EQ(this->server_->stream.local_address(), address);
  this->say(*this->client_, "x");
  EXPECT_EQ(this->hear(*this->server_, 1), "x");
}

TYPED_TEST_P(StreamConformance, AnAddressInUseIsAnErrorThatNamesItAndIsFreeWhenTheListenerIsGone) {
  this->listen();
  const net::Address address = this->listener_->address();
  const auto second = this->world_.net(Place::kServer).listen(address, *this);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().what().find(address.host), std::string_view::npos);
  EXPECT_NE(second.error().what().find(std::to_string(address.port)), std::string_view::npos);
  this->listener_.reset();
  this->listen(address);
  EXPECT_EQ(this->listener_->address(), address);
}

TYPED_TEST_P(StreamConformance, UntilItIsConnectedAStreamWouldBlockAndThenSaysThatItCanSend) {
  this->listen();
  this->client_ = this->dial(this->listener_->address());
  EXPECT_EQ(this->drain(*this->client_), Kind::kWouldBlock);
  this->client_->watch();
  const net::Transfer first = this->client_->send("x");  // a network may have connected by now
  if (first.kind != Kind::kBytes) {
    EXPECT_EQ(first.kind, Kind::kWouldBlock);
    this->client_->events.writable = 0;
    ASSERT_TRUE(this->until([&] { return this->client_->events.writable > 0; }));
    this->say(*this->client_, "x");
  }
  this->server_ = this->adopt(Place::kServer);
  EXPECT_EQ(this->hear(*this->server_, 1), "x");
}

TYPED_TEST_P(StreamConformance, ARefusedConnectIsAnErrorOfTheStream) {
  this->client_ = this->dial(this->world_.unused_address());
  this->client_->watch();
  ASSERT_TRUE(this->until([&] { return this->client_->events.readable > 0; }));
  std::string ignored;
  const net::Transfer transfer = this->client_->receive(ignored, 1);
  EXPECT_EQ(transfer.kind, Kind::kError);
  EXPECT_EQ(transfer.error_number, ECONNREFUSED);
}

TYPED_TEST_P(StreamConformance, AListenerThatIsGoneAcceptsNothingAndItsPeersAreTold) {
  this->listen();
  const net::Address address = this->listener_->address();
  this->client_ = this->dial(address);
  this->client_->watch();
  this->listener_.reset();
  EXPECT_TRUE(this->until([&] { return this->client_->events.readable > 0; }));
  this->world_.settle();
  EXPECT_TRUE(this->accepted_.empty());
  const Kind kind = this->hear_ending(*this->client_).kind;
  EXPECT_TRUE(kind == Kind::kEnd || kind == Kind::kError);
}

TYPED_TEST_P(StreamConformance, AHandleThatNobodyAdoptsClosesWhenItDies) {
  this->listen();
  this->client_ = this->dial(this->listener_->address());
  this->client_->watch();
  ASSERT_TRUE(this->until([&] { return !this->accepted_.empty(); }));
  this->world_.settle();
  EXPECT_EQ(this->drain(*this->client_), Kind::kWouldBlock);
  this->accepted_.clear();
  EXPECT_NE(this->hear_ending(*this->client_).kind, Kind::kWouldBlock);
}

TYPED_TEST_P(StreamConformance, AStreamMayBeAdoptedOnAnotherReactorAndItsEventsComeThere) {
  this->connect_watched(Place::kOther);
  this->say(*this->client_, "x");
  this->server_->events.at_readable = [&] { this->server_->events.at_readable = nullptr; };
  EXPECT_EQ(this->hear(*this->server_, 1), "x");
  EXPECT_EQ(this->drain(*this->server_), Kind::kWouldBlock);
  this->world_.settle();
  this->server_->events.readable = 0;
  this->say(*this->client_, "y");
  ASSERT_TRUE(this->until([&] {
    // Only the reactor that adopted it calls: the others' turns change nothing.
    const int before = this->server_->events.readable;
    this->world_.reactor(Place::kServer).run_once();
    EXPECT_EQ(this->server_->events.readable, before);
    return before > 0;
  }));
}

TYPED_TEST_P(StreamConformance, ManyConnectionsAreAllAccepted) {
  constexpr size_t kCount = 100;
  this->listen();
  std::vector<std::unique_ptr<typename TestFixture::End>> clients;
  for (size_t i = 0; i < kCount; ++i) clients.push_back(this->dial(this->listener_->address()));
  EXPECT_TRUE(this->until([&] { return this->accepted_.size() == kCount; }));
  this->world_.settle();
  EXPECT_EQ(this->accepted_.size(), kCount);
}

TYPED_TEST_P(StreamConformance, EventsThatAreDueWhenItIsWatchedComeInTheNextPoll) {
  this->connect();
  this->say(*this->client_, "x");
  this->world_.settle();
  this->server_->watch();
  this->world_.reactor(Place::kServer).run_once();
  EXPECT_EQ(this->server_->events.readable, 1);
  EXPECT_EQ(this->hear(*this->server_, 1), "x");
}

TYPED_TEST_P(StreamConformance, AnEndThatCameBeforeItIsWatchedComesInTheNextPoll) {
  this->connect();
  this->client_->close();
  this->world_.settle();
  this->server_->watch();
  this->world_.reactor(Place::kServer).run_once();
  EXPECT_EQ(this->server_->events.readable, 1);
  EXPECT_EQ(this->drain(*this->server_), Kind::kEnd);
}

TYPED_TEST_P(StreamConformance, WithNothingNewAnEventIsNotRepeated) {
  this->connect_watched();
  EXPECT_EQ(this->drain(*this->server_), Kind::kWouldBlock);
  this->world_.settle();
  this->server_->events.readable = 0;
  this->say(*this->client_, "x");
  this->world_.settle();
  EXPECT_EQ(this->server_->events.readable, 1);
  for (int i = 0; i < 10; ++i) this->world_.turn();
  EXPECT_EQ(this->server_->events.readable, 1);
}

TYPED_TEST_P(StreamConformance, AfterWouldBlockOrAnExhaustedReceiveTheNextBytesComeWithAnEvent) {
  this->connect_watched();
  for (int round = 0; round < 20; ++round) {
    net::Transfer transfer;
    do {
      std::string ignored;
      transfer = this->server_->receive(ignored, 100);
    } while (transfer.kind == Kind::kBytes && !transfer.is_exhausted);
    ASSERT_NE(transfer.kind, Kind::kError);
    this->world_.settle();
    this->server_->events.readable = 0;
    this->say(*this->client_, "x");
    ASSERT_TRUE(this->until([&] { return this->server_->events.readable > 0; })) << "round " << round;
  }
}

TYPED_TEST_P(StreamConformance, AFullStreamSaysWhenItTakesBytesAgain) {
  this->connect_watched();
  const std::string block(1 << 18, 'x');
  size_t sent = 0;
  for (net::Transfer transfer{.kind = Kind::kBytes}; transfer.kind == Kind::kBytes && !transfer.is_exhausted;
       sent += transfer.bytes) {
    transfer = this->server_->send(block);
    ASSERT_NE(transfer.kind, Kind::kError);
  }
  // Once, since some networks take more while nobody receives.
  this->server_->events.writable = 0;
  size_t heard = 0;
  ASSERT_TRUE(this->until([&] {
    std::string text;
    heard += this->client_->receive(text, 1 << 16).bytes;
    return this->server_->events.writable > 0;
  }));
  EXPECT_EQ(heard + this->hear(*this->client_, sent - heard).size(), sent);
  this->say(*this->server_, "more");
  EXPECT_EQ(this->hear(*this->client_, 4), "more");
}

TYPED_TEST_P(StreamConformance, AfterAHalfCloseThePeerReadsEverythingThenTheEndAndMayStillSend) {
  this->connect_watched();
  EXPECT_EQ(this->drain(*this->server_), Kind::kWouldBlock);
  this->say(*this->client_, "last words");
  this->server_->events.readable = 0;
  this->client_->shutdown_send();
  EXPECT_TRUE(this->until([&] { return this->server_->events.readable > 0; }));
  EXPECT_EQ(this->hear(*this->server_, 10), "last words");
  EXPECT_EQ(this->hear_ending(*this->server_).kind, Kind::kEnd);
  EXPECT_EQ(this->drain(*this->server_), Kind::kEnd);  // and again
  this->say(*this->server_, "an answer");
  EXPECT_EQ(this->hear(*this->client_, 9), "an answer");
  EXPECT_EQ(this->drain(*this->client_), Kind::kWouldBlock);
  this->server_->close();
  EXPECT_EQ(this->hear_ending(*this->client_).kind, Kind::kEnd);
}

TYPED_TEST_P(StreamConformance, AnEndAfterExhaustionComesWithAnEvent) {
  this->connect_watched();
  this->say(*this->client_, "x");
  EXPECT_EQ(this->hear(*this->server_, 1), "x");
  EXPECT_EQ(this->drain(*this->server_), Kind::kWouldBlock);
  this->world_.settle();
  this->server_->events.readable = 0;
  this->client_->close();
  EXPECT_TRUE(this->until([&] { return this->server_->events.readable > 0; }));
  EXPECT_EQ(this->drain(*this->server_), Kind::kEnd);
}

TYPED_TEST_P(StreamConformance, AnEndRightBehindTheLastBytesIsNotMissed) {
  this->connect();
  this->say(*this->client_, "bye");
  this->client_->close();
  this->world_.settle();
  this->server_->watch();
  ASSERT_TRUE(this->until([&] { return this->server_->events.readable > 0; }));
  // As a pump does: goes on as long as it is not told that there is nothing more.
  net::Transfer transfer;
  do {
    std::string ignored;
    transfer = this->server_->receive(ignored, 100);
  } while (transfer.kind == Kind::kBytes && !transfer.is_exhausted);
  EXPECT_EQ(transfer.kind, Kind::kEnd);
}

TYPED_TEST_P(StreamConformance, NoEventComesAfterCloseWhichMayBeRepeated) {
  this->connect_watched();
  this->world_.settle();
  this->say(*this->client_, "x");
  this->world_.settle();
  this->server_->events = Events{this->is_outside_};
  this->server_->close();
  this->server_->close();
  this->client_->close();
  this->world_.settle();
  EXPECT_EQ(this->server_->events.readable, 0);
  EXPECT_EQ(this->server_->events.writable, 0);
}

TYPED_TEST_P(StreamConformance, AStreamThatClosesInsideItsEventIsCalledNoMore) {
  this->connect_watched();
  EXPECT_EQ(this->drain(*this->server_), Kind::kWouldBlock);
  this->world_.settle();
  this->server_->events.at_readable = [this] {
    this->server_->stream.close();
    this->server_->events.writable = 0;
  };
  this->say(*this->client_, "x");
  this->world_.settle();
  EXPECT_EQ(this->server_->events.readable, 1);
  EXPECT_EQ(this->server_->events.writable, 0);
}

TYPED_TEST_P(StreamConformance, AStreamThatAnotherOnesEventClosesIsCalledNoMore) {
  this->listen();
  std::unique_ptr<typename TestFixture::End> clients[2], servers[2];
  for (int i = 0; i < 2; ++i) {
    clients[i] = this->dial(this->listener_->address());
    servers[i] = this->adopt(Place::kServer);
    servers[i]->watch();
    EXPECT_EQ(this->drain(*servers[i]), Kind::kWouldBlock);
  }
  this->world_.settle();
  for (int i = 0; i < 2; ++i) {
    servers[i]->events = Events{this->is_outside_};
    servers[i]->events.at_readable = [&servers, i] { servers[1 - i]->stream.close(); };
    this->say(*clients[i], "x");
  }
  this->world_.settle();
  EXPECT_EQ(servers[0]->events.readable + servers[1]->events.readable, 1);
}

TYPED_TEST_P(StreamConformance, SendingToAPeerThatIsGoneBecomesAnError) {
  this->connect_watched();
  this->client_->close();
  net::Transfer transfer;
  EXPECT_TRUE(this->until([&] {
    transfer = this->server_->send("x");
    return transfer.kind == Kind::kError;
  }));
  EXPECT_TRUE(transfer.error_number == EPIPE || transfer.error_number == ECONNRESET) << transfer.error_number;
}

TYPED_TEST_P(StreamConformance, AResetIsAnErrorWithAnEventAndNothingIsLeftAfterIt) {
  this->connect_watched();
  this->say(*this->server_, "never read");
  EXPECT_EQ(this->drain(*this->server_), Kind::kWouldBlock);
  this->world_.settle();
  this->server_->events = Events{this->is_outside_};
  this->client_->close();  // with bytes unread: that resets
  ASSERT_TRUE(this->until([&] { return this->server_->events.readable > 0; }));
  std::string ignored;
  const net::Transfer transfer = this->server_->receive(ignored, 1);
  EXPECT_EQ(transfer.kind, Kind::kError);
  EXPECT_EQ(transfer.error_number, ECONNRESET);
  EXPECT_EQ(this->server_->send("x").kind, Kind::kError);
  const Kind later = this->server_->receive(ignored, 1).kind;
  EXPECT_TRUE(later == Kind::kError || later == Kind::kEnd);
}

TYPED_TEST_P(StreamConformance, BothSidesMayCloseAtOnce) {
  this->connect_watched();
  this->say(*this->client_, "x");
  this->say(*this->server_, "y");
  this->world_.settle();
  this->client_->events = this->server_->events = Events{this->is_outside_};
  this->client_->close();
  this->server_->close();
  this->world_.settle();
  EXPECT_EQ(this->client_->events.readable + this->client_->events.writable, 0);
  EXPECT_EQ(this->server_->events.readable + this->server_->events.writable, 0);
}

/// Big transfers both ways at once, by ends that do nothing without an event: a lost one stops them.
TYPED_TEST_P(StreamConformance, BigTransfersBothWaysNeedNothingButTheEvents) {
  constexpr uint64_t kSeed = 7;
  Prng random{kSeed};
  std::string message(TypeParam::kBigBytes, '\0');
  for (char& byte : message) byte = char(random.next());
  for (const Place place : {Place::kServer, Place::kOther}) {
    this->connect(place);
    Pump client{*this->client_, message, Prng{random.next()}};
    Pump server{*this->server_, message, Prng{random.next()}};
    EXPECT_TRUE(this->until([&] {
      client.go_on();
      server.go_on();
      return client.is_done() && server.is_done();
    })) << "seed "
        << kSeed << ", client " << client.progress() << ", server " << server.progress();
    EXPECT_TRUE(client.heard() == message && server.heard() == message) << "seed " << kSeed;
    this->client_.reset();
    this->server_.reset();
    this->listener_.reset();
  }
}

REGISTER_TYPED_TEST_SUITE_P(
    StreamConformance, BytesArriveInOrderAndOnce, AReceiveFillsItsPiecesInOrderAndASendTakesThemSo,
    TheListenerSaysItsRealPortAndTheEndsAgreeOnTheirAddresses,
    AWildcardListenerIsReachedAndTheStreamKnowsTheRealAddress,
    AnAddressInUseIsAnErrorThatNamesItAndIsFreeWhenTheListenerIsGone,
    UntilItIsConnectedAStreamWouldBlockAndThenSaysThatItCanSend, ARefusedConnectIsAnErrorOfTheStream,
    AListenerThatIsGoneAcceptsNothingAndItsPeersAreTold, AHandleThatNobodyAdoptsClosesWhenItDies,
    AStreamMayBeAdoptedOnAnotherReactorAndItsEventsComeThere, ManyConnectionsAreAllAccepted,
    EventsThatAreDueWhenItIsWatchedComeInTheNextPoll, AnEndThatCameBeforeItIsWatchedComesInTheNextPoll,
    WithNothingNewAnEventIsNotRepeated, AfterWouldBlockOrAnExhaustedReceiveTheNextBytesComeWithAnEvent,
    AFullStreamSaysWhenItTakesBytesAgain, AfterAHalfCloseThePeerReadsEverythingThenTheEndAndMayStillSend,
    AnEndAfterExhaustionComesWithAnEvent, AnEndRightBehindTheLastBytesIsNotMissed,
    NoEventComesAfterCloseWhichMayBeRepeated, AStreamThatClosesInsideItsEventIsCalledNoMore,
    AStreamThatAnotherOnesEventClosesIsCalledNoMore, SendingToAPeerThatIsGoneBecomesAnError,
    AResetIsAnErrorWithAnEventAndNothingIsLeftAfterIt, BothSidesMayCloseAtOnce,
    BigTransfersBothWaysNeedNothingButTheEvents);

}  // namespace weft::conformance
