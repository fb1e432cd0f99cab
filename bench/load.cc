#include "bench/load.h"

#include <limits.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <ranges>
#include <utility>

#include "base/bytes.h"
#include "bench/command_source.h"
#include "bench/h2c_data.h"
#include "bench/pdu_walker.h"
#include "bench/send_ring.h"
#include "bench/system.h"

namespace weft::bench {
namespace {

constexpr size_t kDropBytesMax = 1 << 30;  // nothing is copied, so no buffer bounds it
constexpr size_t kBufferBytes = 256 << 10;  // a quarter of the second-level cache at most
constexpr std::chrono::seconds kStall{5};

/// Dies when one of the response capsules, `capsule_bytes` each, says that its command failed. `offset`: how much of the first one came before.
void check_statuses(std::span<const std::byte> capsules, size_t offset, size_t capsule_bytes) {
  constexpr size_t kStatus = offsetof(tcp::CapsuleResp, cqe) + offsetof(nvme::Cqe, status);
  size_t place = offset;
  for (const std::byte byte : capsules) {
    const bool is_status = place >= kStatus && place < sizeof(tcp::CapsuleResp);
    if (is_status && byte != std::byte{0}) die("a write failed");
    if (++place == capsule_bytes) place = 0;
  }
}

size_t slots_of(const GroupOptions& options) {
  const size_t transfers = options.workload.writes_by_r2t() ? (options.workload.io_bytes - 1) / options.maxh2cdata + 1 : 0;
  return options.queue_depth * (1 + transfers);
}

}  // namespace

struct Load::Connection {
  Connection(const Fd& stream, Group& of, const GroupOptions& options, uint64_t seed)
      : fd(stream.get()),
        group(of),
        source(options.workload, options.map, seed),
        ring({.slots = slots_of(options), .header_bytes_max = options.workload.capsule_bytes()}),
        free(options.queue_depth),
        in_order(options.queue_depth),
        by_cid(options.queue_depth) {}

  int fd;
  Group& group;
  CommandSource source;
  SendRing ring;
  size_t free;                 // commands that may be made
  size_t response_offset = 0;  // bytes of the answer that is arriving, where all are alike
  uint16_t cid = 0;            // the next one, where all are alike: they run freely, because answers are not looked at
  CommandsInOrder in_order;
  CommandsByCid by_cid;
  PduWalker walker;
  std::optional<uint16_t> answered;  // by the PDU that is arriving, once it is complete
  uint64_t ios = 0;
  bool waits_to_send = false;
};

struct Load::Group {
  explicit Group(const GroupOptions& from) : options(from), payload(payload_of(from.workload)) {
    result.name = from.name;
    result.knows_cids = from.workload.is_framed();
  }

  const GroupOptions options;
  const std::vector<std::byte> payload;
  std::vector<std::unique_ptr<Connection>> connections;
  size_t turn = 0;  // of the connection that sends next, at a rate
  Instant due;      // when it does
  GroupResult result;
};

Load::Load(const LoadOptions& options)
    : options_(options), epoll_(::epoll_create1(EPOLL_CLOEXEC)), meter_(options.server_pid, options.counts), buffer_(kBufferBytes) {}

Load::~Load() = default;

void Load::add(const GroupOptions& options, std::span<const Fd* const> streams) {
  Group& group = *groups_.emplace_back(std::make_unique<Group>(options));
  for (const Fd* stream : streams) {
    const uint64_t seed = groups_.size() * 10'000 + group.connections.size();
    Connection& connection = *group.connections.emplace_back(std::make_unique<Connection>(*stream, group, options, seed));
    set_nonblocking(*stream);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stream->get(), &event) != 0) die("epoll_ctl");
  }
}

LoadResult Load::run() {
  Instant now = std::chrono::steady_clock::now();
  const Instant start = now;
  last_completion_ = now;
  for (auto& group : groups_) {
    group->due = now;
    if (group->options.rate > 0) continue;
    for (auto& connection : group->connections) send(*connection, now);
  }
  while (phase_ != Phase::kDraining || outstanding_ > 0) {
    now = std::chrono::steady_clock::now();
    // Neither phase ends before something has been done in it, however busy the machine is.
    const bool has_ios = ios() > 0;
    if (phase_ == Phase::kWarmUp && has_ios && now - start >= options_.warm_up) begin_measurement(now);
    if (phase_ == Phase::kMeasured && has_ios && now - measured_from_ >= options_.duration) end_measurement(now);
    if (now - last_completion_ > kStall) die("no command was answered for 5 s");
    cycle(now);
  }
  for (auto& group : groups_) {
    const auto [least, most] = std::ranges::minmax(group->connections | std::views::transform([](const auto& connection) { return connection->ios; }));
    group->result.connection_ios_min = least;
    group->result.connection_ios_max = most;
    result_.groups.push_back(group->result);
  }
  return std::move(result_);
}

uint64_t Load::ios() const {
  uint64_t sum = 0;
  for (const auto& group : groups_) sum += group->result.ios;
  return sum;
}

void Load::begin_measurement(Instant now) {
  phase_ = Phase::kMeasured;
  measured_from_ = now;
  for (auto& group : groups_) {
    GroupResult& result = group->result;
    result.ios = result.receives = result.sends = 0;
    result.latencies.clear();
    for (auto& connection : group->connections) connection->ios = 0;
  }
  meter_.start();
}

void Load::end_measurement(Instant now) {
  phase_ = Phase::kDraining;
  result_.elapsed = now - measured_from_;
  result_.server = meter_.stop();
}

void Load::cycle(Instant now) {
  std::array<epoll_event, 256> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), int(events.size()), 0);
  if (count < 0 && errno != EINTR) die("epoll_wait");
  for (int i = 0; i < count; ++i) {
    auto& connection = *static_cast<Connection*>(events[size_t(i)].data.ptr);
    receive(connection);
  }
  for (auto& group : groups_) {
    if (group->options.rate > 0 && phase_ != Phase::kDraining) send_what_is_due(*group, now);
  }
}

/// At a rate: one command after the other, on each connection in turn. What finds no place is late, not lost.
void Load::send_what_is_due(Group& group, Instant now) {
  const auto interval = std::chrono::nanoseconds(int64_t(1e9 / group.options.rate));
  while (group.due <= now) {
    Connection& connection = *group.connections[group.turn];
    if (connection.free == 0) return;
    make(connection, group.due);
    flush(connection);
    group.due += interval;
    if (++group.turn == group.connections.size()) group.turn = 0;
  }
}

void Load::receive(Connection& connection) {
  if (connection.group.options.workload.is_framed()) {
    receive_framed(connection);
  } else {
    receive_alike(connection);
  }
}

void Load::completed(Connection& connection, Instant sent_at, Instant now, uint32_t commands) {
  connection.free += commands;
  outstanding_ -= commands;
  if (phase_ == Phase::kDraining) return;
  connection.ios += commands;
  connection.group.result.ios += commands;
  connection.group.result.latencies.add(uint64_t(std::max<int64_t>((now - sent_at).count(), 0)), commands);
}

void Load::receive_alike(Connection& connection) {
  const GroupOptions& options = connection.group.options;
  ssize_t count = 0;
  if (options.workload.has_writes()) {
    count = ::recv(connection.fd, buffer_.data(), buffer_.size(), 0);
    if (count > 0) check_statuses(std::span(buffer_).first(size_t(count)), connection.response_offset, options.response_bytes);
  } else {
    // Not recv(): the sanitizers' version of it would look at the buffer, and there is none on purpose.
    count = ::syscall(SYS_recvfrom, connection.fd, nullptr, kDropBytesMax, MSG_TRUNC, nullptr, nullptr);
  }
  if (count < 0 && errno == EAGAIN) return flush(connection);
  if (count <= 0) die("the server closed a connection");
  const Instant now = std::chrono::steady_clock::now();
  const size_t arrived = connection.response_offset + size_t(count);
  const auto answers = uint32_t(arrived / options.response_bytes);
  connection.response_offset = arrived % options.response_bytes;
  if (answers > options.queue_depth - connection.free) die("the server answered more than it was asked");
  if (answers > 0) {
    last_completion_ = now;
    if (phase_ != Phase::kDraining) ++connection.group.result.receives;
    connection.in_order.answered(answers, [&](Instant sent_at, uint32_t commands) { completed(connection, sent_at, now, commands); });
  }
  send(connection, now);
}

/// What the PDUs of a framed connection do to it.
struct Load::Answers {
  Load& load;
  Connection& connection;
  Instant now;

  void on_header(std::span<const std::byte> header) {
    const auto type = tcp::PduType(view<tcp::CommonHeader>(header)->type);
    if (const auto* data = view<tcp::DataPdu>(header); data != nullptr && type == tcp::PduType::kC2hData) {
      if ((data->ch.flags & tcp::kFlagSuccess) != 0) connection.answered = data->cccid;
    } else if (const auto* response = view<tcp::CapsuleResp>(header); response != nullptr && type == tcp::PduType::kCapsuleResp) {
      if (!response->cqe.decoded_status().ok()) die("a command failed");
      connection.answered = response->cqe.cid;
    } else if (const auto* r2t = view<tcp::R2t>(header); r2t != nullptr && type == tcp::PduType::kR2t) {
      transfer(*r2t);
    } else {
      die("an answer is no PDU that was expected");
    }
  }
  void on_payload(std::span<const std::byte>) {}
  void on_end() {
    if (!connection.answered) return;
    const uint16_t cid = *std::exchange(connection.answered, std::nullopt);
    if (!connection.by_cid.is_outstanding(cid)) die("an answer to no command");
    load.completed(connection, connection.by_cid.answered(cid), now, 1);
    load.last_completion_ = now;
  }
  void transfer(const tcp::R2t& r2t) {
    if (!connection.by_cid.is_outstanding(r2t.cccid)) die("an R2T of no command");
    const GroupOptions& options = connection.group.options;
    if (uint64_t{r2t.r2to} + r2t.r2tl > options.workload.io_bytes) die("an R2T beyond its command's data");
    for_each_h2c_data(r2t, options.maxh2cdata, [&](const tcp::DataPdu& header) {
      if (connection.ring.slots_free() == 0) die("more R2Ts than the data needs");
      connection.ring.push(bytes_of(header), std::span(connection.group.payload).first(header.datal));
    });
  }
};

void Load::receive_framed(Connection& connection) {
  const ssize_t count = ::recv(connection.fd, buffer_.data(), buffer_.size(), 0);
  if (count < 0 && errno == EAGAIN) return flush(connection);
  if (count <= 0) die("the server closed a connection");
  const Instant now = std::chrono::steady_clock::now();
  if (phase_ != Phase::kDraining) ++connection.group.result.receives;
  Answers answers{.load = *this, .connection = connection, .now = now};
  if (connection.walker.walk(std::span(buffer_).first(size_t(count)), answers) != PduWalker::Outcome::kFine) die("an answer is no PDU");
  send(connection, now);
}

/// Makes one command. Requires: one is free.
void Load::make(Connection& connection, Instant sent_at) {
  const bool is_framed = connection.group.options.workload.is_framed();
  const uint16_t cid = is_framed ? connection.by_cid.sent(sent_at) : connection.cid++;
  if (!is_framed && connection.group.options.rate > 0) connection.in_order.sent(sent_at, 1);
  const CommandSource::Command command = connection.source.next(cid);
  connection.ring.push(command.header, command.has_payload ? std::span(connection.group.payload) : std::span<const std::byte>{});
  --connection.free;
  ++outstanding_;
}

/// Fills the queue, unless commands are sent at a rate, and sends all of it in one call. While draining, only what was begun is finished.
void Load::send(Connection& connection, Instant now) {
  if (phase_ != Phase::kDraining && connection.group.options.rate == 0 && connection.free > 0) {
    if (!connection.group.options.workload.is_framed()) connection.in_order.sent(now, uint32_t(connection.free));
    while (connection.free > 0) make(connection, now);
  }
  flush(connection);
}

void Load::flush(Connection& connection) {
  if (!connection.ring.has_pending()) return;
  std::array<iovec, IOV_MAX> iovecs;
  msghdr message{};
  message.msg_iov = iovecs.data();
  message.msg_iovlen = connection.ring.gather(iovecs);
  const ssize_t count = ::sendmsg(connection.fd, &message, MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN) die("send");
  if (count > 0) connection.ring.sent(size_t(count));
  if (phase_ != Phase::kDraining) ++connection.group.result.sends;
  if (connection.waits_to_send != connection.ring.has_pending()) watch(connection);
}

void Load::watch(Connection& connection) {
  connection.waits_to_send = connection.ring.has_pending();
  epoll_event event{.events = EPOLLIN | (connection.waits_to_send ? uint32_t{EPOLLOUT} : 0u), .data = {.ptr = &connection}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd, &event) != 0) die("epoll_ctl");
}

}  // namespace weft::bench
