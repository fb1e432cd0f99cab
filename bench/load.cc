#include "bench/load.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace weft::bench {
namespace {

constexpr size_t kDropBytesMax = 1 << 30;  // nothing is copied, so no buffer bounds it
constexpr size_t kCapsuleBytesMax = 64 << 10;
constexpr size_t kSamplesMax = 1 << 22;
constexpr std::chrono::seconds kStall{5};

/// Dies when one of the response capsules says that its command failed. `offset`: how much of the first one came before.
void check_statuses(std::span<const std::byte> capsules, size_t offset) {
  constexpr size_t kStatus = offsetof(tcp::CapsuleResp, cqe) + offsetof(nvme::Cqe, status);
  for (size_t i = 0; i < capsules.size(); ++i) {
    const bool is_status = (offset + i) % sizeof(tcp::CapsuleResp) >= kStatus;  // the last two bytes of a capsule
    if (is_status && capsules[i] != std::byte{0}) die("a write failed");
  }
}
static_assert(offsetof(nvme::Cqe, status) + sizeof(nvme::Cqe::status) == sizeof(nvme::Cqe));

}  // namespace

struct Load::Connection {
  Connection(const Fd& stream, CommandRing commands, size_t depth) : fd(stream.get()), ring(std::move(commands)), free(depth) {}

  int fd;
  CommandRing ring;
  size_t free;                 // commands that may be made
  size_t response_offset = 0;  // bytes of the answer that is arriving
  Instant sent_at;             // the last command
  bool waits_to_send = false;
};

Load::Load(const LoadOptions& options, const Workload& workload, const BlockMap& map)
    : options_(options), workload_(workload), map_(map), epoll_(::epoll_create1(EPOLL_CLOEXEC)), capsules_(kCapsuleBytesMax) {
  if (options_.queue_depth == 1) result_.round_trips_ns.reserve(kSamplesMax);
}

Load::~Load() = default;

void Load::add(const Fd& stream) {
  CommandRing ring(workload_, map_, options_.queue_depth, connections_.size() + 1);
  connections_.push_back(std::make_unique<Connection>(stream, std::move(ring), options_.queue_depth));
  set_nonblocking(stream);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = connections_.back().get()}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stream.get(), &event) != 0) die("epoll_ctl");
}

LoadResult Load::run() {
  Instant now = std::chrono::steady_clock::now();
  const Instant start = now;
  last_completion_ = now;
  for (auto& connection : connections_) send(*connection);
  while (phase_ != Phase::kDraining || outstanding_ > 0) {
    now = std::chrono::steady_clock::now();
    // Neither phase ends before something has been done in it, however busy the machine is.
    const bool has_ios = result_.ios > 0;
    if (phase_ == Phase::kWarmUp && has_ios && now - start >= options_.warm_up) begin_measurement(now);
    if (phase_ == Phase::kMeasured && has_ios && now - measured_from_ >= options_.duration) end_measurement(now);
    if (now - last_completion_ > kStall) die("no command was answered for 5 s");
    cycle(now);
  }
  std::sort(result_.round_trips_ns.begin(), result_.round_trips_ns.end());
  return std::move(result_);
}

void Load::begin_measurement(Instant now) {
  phase_ = Phase::kMeasured;
  measured_from_ = now;
  result_.ios = result_.receives = result_.sends = 0;
  result_.round_trips_ns.clear();
  if (options_.server_pid != 0) server_from_ = cpu_time_of(options_.server_pid);
}

void Load::end_measurement(Instant now) {
  phase_ = Phase::kDraining;
  result_.elapsed = now - measured_from_;
  if (options_.server_pid == 0) return;
  const CpuTime until = cpu_time_of(options_.server_pid);
  result_.server = {.total = until.total - server_from_.total,
                    .user = until.user - server_from_.user,
                    .system = until.system - server_from_.system};
}

void Load::cycle(Instant now) {
  std::array<epoll_event, 256> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), int(events.size()), 0);
  if (count < 0 && errno != EINTR) die("epoll_wait");
  for (int i = 0; i < count; ++i) {
    auto& connection = *static_cast<Connection*>(events[size_t(i)].data.ptr);
    receive(connection, now);
    send(connection);
  }
}

void Load::receive(Connection& connection, Instant now) {
  const ssize_t count = receive_bytes(connection);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) die("the server closed a connection");
  const size_t arrived = connection.response_offset + size_t(count);
  const size_t completed = arrived / options_.response_bytes;
  connection.response_offset = arrived % options_.response_bytes;
  connection.free += completed;
  if (connection.free > options_.queue_depth) die("the server answered more than it was asked");
  outstanding_ -= completed;
  if (completed == 0) return;
  last_completion_ = now;
  if (phase_ == Phase::kDraining) return;
  ++result_.receives;
  result_.ios += completed;
  if (options_.queue_depth == 1 && result_.round_trips_ns.size() < kSamplesMax) {
    result_.round_trips_ns.push_back(uint32_t((std::chrono::steady_clock::now() - connection.sent_at).count()));
  }
}

ssize_t Load::receive_bytes(Connection& connection) {
  if (workload_.direction == Direction::kRead) {
    // Not recv(): the sanitizers' version of it would look at the buffer, and there is none on purpose.
    return ::syscall(SYS_recvfrom, connection.fd, nullptr, kDropBytesMax, MSG_TRUNC, nullptr, nullptr);
  }
  const ssize_t count = ::recv(connection.fd, capsules_.data(), capsules_.size(), 0);
  if (count > 0) check_statuses(std::span(capsules_).first(size_t(count)), connection.response_offset);
  return count;
}

/// Fills the queue and sends all of it in one call. While draining, only what is half sent is finished.
void Load::send(Connection& connection) {
  if (phase_ != Phase::kDraining) {
    connection.ring.make(connection.free);
    outstanding_ += connection.free;
    connection.free = 0;
  }
  if (!connection.ring.has_pending()) return;
  if (options_.queue_depth == 1) connection.sent_at = std::chrono::steady_clock::now();
  std::array<iovec, 2> iovecs;
  std::ranges::transform(connection.ring.pending(), iovecs.begin(), [](std::span<const std::byte> part) {
    return iovec{.iov_base = const_cast<std::byte*>(part.data()), .iov_len = part.size()};
  });
  msghdr message{};
  message.msg_iov = iovecs.data();
  message.msg_iovlen = iovecs.size();
  const ssize_t count = ::sendmsg(connection.fd, &message, MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN) die("send");
  if (count > 0) connection.ring.sent(size_t(count));
  if (phase_ != Phase::kDraining) ++result_.sends;
  if (connection.waits_to_send != connection.ring.has_pending()) watch(connection);
}

void Load::watch(Connection& connection) {
  connection.waits_to_send = connection.ring.has_pending();
  epoll_event event{.events = EPOLLIN | (connection.waits_to_send ? uint32_t{EPOLLOUT} : 0u), .data = {.ptr = &connection}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd, &event) != 0) die("epoll_ctl");
}

}  // namespace weft::bench
