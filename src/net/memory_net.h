// A network inside one process and one thread, for tests and for measuring without a kernel: streams are pairs of bounded byte queues, and
// how many bytes one receive gives can be limited, down to one. Register it with the reactor like any Net's poller. Single-threaded.
#pragma once
#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "core/poller.h"
#include "net/stream.h"

namespace weft::net {

/// One direction of a connection.
struct MemoryPipe {
  std::deque<std::byte> bytes;
  size_t capacity;               // bytes that may wait to be received
  size_t segment_bytes;          // the most that one receive gives
  bool is_closed_by_sender = false;
  bool is_reader_gone = false;
  int error_number = 0;          // the connection is broken: what a receive says once it has given what is here
  bool reader_event_due = true;  // an on_readable() may come when there is something
  bool writer_event_due = true;
};

/// One side of a connection: both directions. Move-only; closes its side when it dies.
struct MemoryLink {
  std::shared_ptr<MemoryPipe> incoming;
  std::shared_ptr<MemoryPipe> outgoing;
  Address local;
  Address peer;

  MemoryLink(std::shared_ptr<MemoryPipe> in, std::shared_ptr<MemoryPipe> out, Address at, Address to)
      : incoming(std::move(in)), outgoing(std::move(out)), local(std::move(at)), peer(std::move(to)) {}
  MemoryLink(MemoryLink&&) noexcept = default;
  MemoryLink& operator=(MemoryLink&&) = delete;
  ~MemoryLink() { close(); }
  bool is_open() const { return incoming != nullptr; }
  /// As TCP does: who closes with bytes unread breaks the connection.
  void close() {
    if (!is_open()) return;
    outgoing->is_closed_by_sender = true;
    if (!incoming->bytes.empty()) outgoing->error_number = ECONNRESET;
    incoming->is_reader_gone = true;
    incoming.reset();
  }
};

class MemoryNet;

class MemoryStream {
 public:
  MemoryStream(MemoryNet& net, MemoryLink link) : net_(&net), link_(std::move(link)) {}
  MemoryStream(MemoryStream&& other) noexcept : net_(other.net_), link_(std::move(other.link_)) {}
  ~MemoryStream() { close(); }

  Transfer receive(std::span<const iovec> iovecs);
  Transfer send(std::span<const iovec> iovecs);
  Result<void> watch(StreamEvents& events);
  void shutdown_send() { link_.outgoing->is_closed_by_sender = true; }
  void close();
  Address local_address() const { return link_.local; }
  Address peer_address() const { return link_.peer; }

 private:
  friend class MemoryNet;
  bool deliver_events();

  MemoryNet* net_;
  MemoryLink link_;
  StreamEvents* events_ = nullptr;
};

class MemoryListener {
 public:
  MemoryListener(MemoryNet& net, Address address) : net_(net), address_(std::move(address)) {}
  ~MemoryListener();
  const Address& address() const { return address_; }

 private:
  MemoryNet& net_;
  Address address_;
};

class MemoryNet final : public Poller {
 public:
  using Stream = MemoryStream;
  using Handle = MemoryLink;
  using Listener = MemoryListener;
  struct Options {
    size_t capacity = 1 << 20;       // bytes that may wait in one direction
    size_t segment_bytes = 1 << 20;  // the most that one receive gives
  };

  explicit MemoryNet(const Options& options) : options_(options) {}

  MemoryStream adopt(MemoryLink link) { return {*this, std::move(link)}; }
  Result<MemoryStream> connect(const Address& address) {
    MemoryLink client = make_link(address);
    if (listeners_.contains(address.port)) {
      arrivals_.emplace_back(address.port, MemoryLink{client.outgoing, client.incoming, address, client.local});
    } else {
      client.incoming->error_number = ECONNREFUSED;
      client.outgoing->is_reader_gone = true;
    }
    return MemoryStream{*this, std::move(client)};
  }
  Result<std::unique_ptr<MemoryListener>> listen(const Address& address, ListenerEvents<MemoryLink>& events) {
    Address bound = address;
    if (bound.port == 0) bound.port = next_port_++;
    if (!listeners_.emplace(bound.port, &events).second) {
      return fail(Errc::kExists, "in use: " + bound.host + " port " + std::to_string(bound.port));
    }
    return std::make_unique<MemoryListener>(*this, bound);
  }

  /// Delivers every event that is due once.
  size_t poll() override {
    size_t delivered = 0;
    for (; !arrivals_.empty(); ++delivered) {
      auto [port, link] = std::move(arrivals_.front());
      arrivals_.pop_front();
      const Address peer = link.peer;
      if (auto found = listeners_.find(port); found != listeners_.end()) found->second->on_accepted(std::move(link), peer);
    }
    // By index: a callback may add streams; one that closes leaves a null behind until the loop is over.
    for (size_t i = 0; i < streams_.size(); ++i) {
      if (streams_[i] != nullptr && streams_[i]->deliver_events()) ++delivered;
    }
    std::erase(streams_, nullptr);
    return delivered;
  }

 private:
  friend class MemoryStream;
  friend class MemoryListener;
  MemoryLink make_link(const Address& peer) {
    const MemoryPipe pipe{.bytes = {}, .capacity = options_.capacity, .segment_bytes = options_.segment_bytes};
    return {std::make_shared<MemoryPipe>(pipe), std::make_shared<MemoryPipe>(pipe), {"127.0.0.1", next_port_++, false}, peer};
  }

  Options options_;
  std::map<uint16_t, ListenerEvents<MemoryLink>*> listeners_;
  std::deque<std::pair<uint16_t, MemoryLink>> arrivals_;
  std::vector<MemoryStream*> streams_;  // watched
  uint16_t next_port_ = 49152;
};

inline MemoryListener::~MemoryListener() { net_.listeners_.erase(address_.port); }

inline Transfer MemoryStream::receive(std::span<const iovec> iovecs) {
  MemoryPipe& pipe = *link_.incoming;
  size_t taken = 0;
  for (const iovec& piece : iovecs) {
    const size_t count = std::min({piece.iov_len, pipe.bytes.size(), pipe.segment_bytes - taken});
    auto* target = static_cast<std::byte*>(piece.iov_base);
    std::copy_n(pipe.bytes.begin(), count, target);
    pipe.bytes.erase(pipe.bytes.begin(), pipe.bytes.begin() + ptrdiff_t(count));
    taken += count;
  }
  if (taken > 0) return {.kind = Transfer::Kind::kBytes, .bytes = taken};
  if (pipe.error_number != 0) return {.kind = Transfer::Kind::kError, .error_number = pipe.error_number};
  if (pipe.is_closed_by_sender) return {.kind = Transfer::Kind::kEnd};
  pipe.reader_event_due = true;
  return {.kind = Transfer::Kind::kWouldBlock};
}

inline Transfer MemoryStream::send(std::span<const iovec> iovecs) {
  MemoryPipe& pipe = *link_.outgoing;
  if (pipe.is_reader_gone) return {.kind = Transfer::Kind::kError, .error_number = EPIPE};
  size_t sent = 0;
  for (const iovec& piece : iovecs) {
    const size_t count = std::min(piece.iov_len, pipe.capacity - pipe.bytes.size());
    const auto* source = static_cast<const std::byte*>(piece.iov_base);
    pipe.bytes.insert(pipe.bytes.end(), source, source + count);
    sent += count;
    if (count < piece.iov_len) pipe.writer_event_due = true;
  }
  if (sent == 0) return {.kind = Transfer::Kind::kWouldBlock};
  return {.kind = Transfer::Kind::kBytes, .bytes = sent, .is_exhausted = pipe.writer_event_due};
}

inline Result<void> MemoryStream::watch(StreamEvents& events) {
  events_ = &events;
  net_->streams_.push_back(this);
  return {};
}

inline void MemoryStream::close() {
  if (std::exchange(events_, nullptr) != nullptr) std::replace(net_->streams_.begin(), net_->streams_.end(), this, static_cast<MemoryStream*>(nullptr));
  link_.close();
}

inline bool MemoryStream::deliver_events() {
  MemoryPipe& in = *link_.incoming;
  MemoryPipe& out = *link_.outgoing;
  const bool is_readable = in.reader_event_due && (!in.bytes.empty() || in.is_closed_by_sender || in.error_number != 0);
  const bool is_writable = out.writer_event_due && (out.bytes.size() < out.capacity || out.is_reader_gone);
  if (is_readable) {
    in.reader_event_due = false;
    events_->on_readable();
  }
  if (is_writable && events_ != nullptr) {
    out.writer_event_due = false;
    events_->on_writable();
  }
  return is_readable || is_writable;
}

}  // namespace weft::net
