// What the stream suite holds a connection by: a stream with its events, and a pump that goes by the events alone.
#pragma once
#include "base/prng.h"
#include "net/stream.h"

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

namespace weft::conformance {

/// Held during each call into the network.
class Outside {
 public:
  explicit Outside(bool& is_outside) : is_outside_(is_outside) { is_outside_ = false; }
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;
  ~Outside() { is_outside_ = true; }

 private:
  bool& is_outside_;
};

/// Counts, and fails the test when it is called from inside a call.
struct Events final : net::StreamEvents {
  explicit Events(const bool& is_outside_of_calls) : is_outside(&is_outside_of_calls) {}
  void on_readable() override {
    EXPECT_TRUE(*is_outside) << "on_readable() from inside a call";
    ++readable;
    if (at_readable) at_readable();
  }
  void on_writable() override {
    EXPECT_TRUE(*is_outside) << "on_writable() from inside a call";
    ++writable;
  }

  const bool* is_outside;
  int readable = 0;
  int writable = 0;
  std::function<void()> at_readable;
};

template <net::Net N>
struct StreamEnd {
  StreamEnd(typename N::Stream of, bool& is_outside_of_calls)
      : stream(std::move(of)), events(is_outside_of_calls), is_outside(is_outside_of_calls) {}

  void watch() {
    const Outside inside{is_outside};
    ASSERT_TRUE(stream.watch(events).has_value());
  }
  net::Transfer send_pieces(std::span<const iovec> pieces) {
    const Outside inside{is_outside};
    return checked(stream.send(pieces), pieces);
  }
  net::Transfer receive_pieces(std::span<const iovec> pieces) {
    const Outside inside{is_outside};
    return checked(stream.receive(pieces), pieces);
  }
  net::Transfer send(std::string_view text) {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    const net::Transfer transfer = send_pieces({&piece, 1});
    EXPECT_NE(transfer.kind, net::Transfer::Kind::kEnd) << "an end is a receive's";
    return transfer;
  }
  /// Appends to `text` what one receive of at most `most` bytes gives.
  net::Transfer receive(std::string& text, size_t most) {
    const size_t before = text.size();
    text.resize(before + most);
    const iovec piece{text.data() + before, most};
    const net::Transfer transfer = receive_pieces({&piece, 1});
    text.resize(before + transfer.bytes);
    return transfer;
  }
  void shutdown_send() {
    const Outside inside{is_outside};
    stream.shutdown_send();
  }
  void close() {
    const Outside inside{is_outside};
    stream.close();
  }

  typename N::Stream stream;
  Events events;
  bool& is_outside;

 private:
  static net::Transfer checked(net::Transfer transfer, std::span<const iovec> pieces) {
    size_t room = 0;
    for (const iovec& piece : pieces) room += piece.iov_len;
    EXPECT_LE(transfer.bytes, room);
    EXPECT_EQ(transfer.bytes > 0, transfer.kind == net::Transfer::Kind::kBytes);
    EXPECT_EQ(transfer.error_number != 0, transfer.kind == net::Transfer::Kind::kError);
    return transfer;
  }
};

/// Sends a message and receives one as long, in drawn pieces; after each kWouldBlock or exhausted transfer it waits for
/// the event.
template <net::Net N>
class Pump {
 public:
  Pump(StreamEnd<N>& end, const std::string& message, Prng random) : end_(end), message_(message), random_(random) {
    end_.watch();
  }
  void go_on() {
    if (std::exchange(end_.events.readable, 0) > 0) may_receive_ = true;
    if (std::exchange(end_.events.writable, 0) > 0) may_send_ = true;
    if (may_receive_ && heard_.size() < message_.size()) receive();
    if (may_send_ && sent_ < message_.size()) send();
  }
  bool is_done() const { return sent_ == message_.size() && heard_.size() == message_.size(); }
  const std::string& heard() const { return heard_; }
  std::string progress() const { return std::to_string(sent_) + " sent, " + std::to_string(heard_.size()) + " heard"; }

 private:
  static constexpr size_t kPieces = 4;

  std::vector<iovec> pieces_of(char* bytes, size_t size) {
    std::vector<iovec> pieces;
    for (size_t i = 0; i < kPieces && size > 0; ++i) {
      const size_t length = 1 + random_.below(std::min<size_t>(size, size_t{1} << random_.below(18)));
      pieces.push_back({bytes, length});
      bytes += length;
      size -= length;
    }
    return pieces;
  }
  void receive() {
    std::string buffer(std::min<size_t>(message_.size() - heard_.size(), 1 << 18), '\0');
    const auto transfer = end_.receive_pieces(pieces_of(buffer.data(), buffer.size()));
    ASSERT_TRUE(transfer.kind == net::Transfer::Kind::kBytes || transfer.kind == net::Transfer::Kind::kWouldBlock);
    heard_.append(buffer, 0, transfer.bytes);
    may_receive_ = transfer.kind == net::Transfer::Kind::kBytes && !transfer.is_exhausted;
  }
  void send() {
    const auto transfer =
        end_.send_pieces(pieces_of(const_cast<char*>(message_.data()) + sent_, message_.size() - sent_));
    ASSERT_TRUE(transfer.kind == net::Transfer::Kind::kBytes || transfer.kind == net::Transfer::Kind::kWouldBlock);
    sent_ += transfer.bytes;
    may_send_ = transfer.kind == net::Transfer::Kind::kBytes && !transfer.is_exhausted;
  }

  StreamEnd<N>& end_;
  const std::string& message_;
  Prng random_;
  size_t sent_ = 0;
  std::string heard_;
  bool may_receive_ = false;
  bool may_send_ = true;
};

}  // namespace weft::conformance
