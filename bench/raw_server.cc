#include "bench/raw_server.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

namespace weft::bench {
namespace {

constexpr size_t kReceiveBytesMax = 256 << 10;  // smaller ones split batches of writes
constexpr int kEventsMax = 256;

using SteadyClock = std::chrono::steady_clock;

void watch_for_reading(const Fd& epoll, const Fd& fd, void* who) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = who}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) die("epoll_ctl");
}

Fd stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) die("sigprocmask");
  Fd fd{::signalfd(-1, &set, SFD_CLOEXEC)};
  if (fd.get() < 0) die("signalfd");
  return fd;
}

}  // namespace

RawServer::RawServer(const RawServerOptions& options, Fd listener)
    : options_(options),
      request_bytes_(options.workload.is_framed() ? 0 : options.workload.request_bytes()),
      response_bytes_(options.workload.is_framed() ? 0 : options.workload.response_bytes()),
      listener_(std::move(listener)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      signals_(stop_signals()),
      receive_buffer_(kReceiveBytesMax),
      medium_(options.medium, options.workload),
      gathered_(IOV_MAX) {
  watch_for_reading(epoll_, listener_, &listener_);
  watch_for_reading(epoll_, signals_, &signals_);
}

RawServerCounts RawServer::run() {
  std::array<epoll_event, kEventsMax> events;
  auto last_work = SteadyClock::now();
  while (true) {
    const bool spins = options_.spin.count() > 0 && SteadyClock::now() - last_work < options_.spin;
    const int count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, spins ? 0 : -1);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    if (count > 0 && options_.spin.count() > 0) last_work = SteadyClock::now();
    for (int i = 0; i < count; ++i) {
      void* who = events[size_t(i)].data.ptr;
      if (who == &signals_) return counts_;
      if (who == &listener_) {
        accept_all();
      } else if (auto& connection = *static_cast<Connection*>(who); serve(connection) == Outcome::kClosed) {
        connections_.erase(connection.self);
      }
    }
  }
}

void RawServer::accept_all() {
  while (true) {
    Fd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (fd.get() < 0) return;
    set_up_stream(fd);
    Connection& connection = connections_.emplace_back();
    connection.fd = std::move(fd);
    if (options_.workload.is_framed()) connection.requests.emplace(medium_);
    connection.self = std::prev(connections_.end());
    watch_for_reading(epoll_, connection.fd, &connection);
  }
}

RawServer::Outcome RawServer::serve(Connection& connection) {
  if (receive(connection) == Outcome::kClosed) return Outcome::kClosed;
  if (connection.owes() && send(connection) == Outcome::kClosed) return Outcome::kClosed;
  if (connection.waits_to_send != connection.owes()) watch(connection);
  return Outcome::kAlive;
}

RawServer::Outcome RawServer::receive(Connection& connection) {
  const ssize_t count = ::recv(connection.fd.get(), receive_buffer_.data(), receive_buffer_.size(), 0);
  if (count < 0) return errno == EAGAIN ? Outcome::kAlive : Outcome::kClosed;
  if (count == 0) return Outcome::kClosed;
  ++counts_.receives;
  const auto received = std::span<const std::byte>(receive_buffer_).first(size_t(count));
  if (connection.requests) {
    counts_.ios += connection.requests->receive(received);
    return Outcome::kAlive;
  }
  if (options_.medium == RawMedium::Kind::kCold && options_.workload.has_writes()) store(connection, received);
  const size_t arrived = connection.request_offset + size_t(count);
  counts_.ios += arrived / request_bytes_;
  connection.request_offset = arrived % request_bytes_;
  connection.owed_bytes += arrived / request_bytes_ * response_bytes_;
  return Outcome::kAlive;
}

/// Copies the payload bytes of the requests in `received` to random blocks, one block for each request.
void RawServer::store(Connection& connection, std::span<const std::byte> received) {
  constexpr size_t kHeader = sizeof(tcp::CapsuleCmd);
  size_t offset = connection.request_offset;
  while (!received.empty()) {
    if (offset == 0) connection.block = medium_.random_block();
    const bool in_header = offset < kHeader;
    const size_t part = std::min(received.size(), (in_header ? kHeader : request_bytes_) - offset);
    if (!in_header) std::memcpy(medium_.block(connection.block).data() + (offset - kHeader), received.data(), part);
    received = received.subspan(part);
    offset = (offset + part) % request_bytes_;
  }
}

RawServer::Outcome RawServer::send(Connection& connection) {
  ssize_t count = 0;
  if (connection.requests) {
    count = send_gathered(connection, connection.requests->answers().gather(gathered_));
  } else if (options_.medium == RawMedium::Kind::kHot || options_.workload.has_writes()) {
    count = ::send(connection.fd.get(), medium_.hot().data(), std::min(connection.owed_bytes, medium_.hot().size()), MSG_NOSIGNAL);
  } else {
    count = send_gathered(connection, gather_cold(connection));
  }
  if (count < 0) return errno == EAGAIN ? Outcome::kAlive : Outcome::kClosed;
  ++counts_.sends;
  if (connection.requests) {
    connection.requests->answers().sent(size_t(count));
    return Outcome::kAlive;
  }
  connection.owed_bytes -= size_t(count);
  connection.response_offset = (connection.response_offset + size_t(count)) % response_bytes_;
  return Outcome::kAlive;
}

ssize_t RawServer::send_gathered(const Connection& connection, size_t count) {
  msghdr message{};
  message.msg_iov = gathered_.data();
  message.msg_iovlen = count;
  return ::sendmsg(connection.fd.get(), &message, MSG_NOSIGNAL);
}

/// Fills `gathered_` with the responses that are owed: | header 24 | random block |, from the byte at which the last send stopped. A response
/// that was cut goes on in another block: nobody looks at the bytes.
size_t RawServer::gather_cold(const Connection& connection) {
  constexpr size_t kHeader = sizeof(tcp::DataPdu);
  size_t used = 0;
  size_t left = connection.owed_bytes;
  size_t offset = connection.response_offset;
  while (left > 0 && used < gathered_.size()) {
    const bool in_header = offset < kHeader;
    const std::span<std::byte> part = in_header ? medium_.hot().subspan(used * kHeader, kHeader).subspan(offset)
                                                : medium_.block(medium_.random_block()).subspan(offset - kHeader);
    gathered_[used++] = {.iov_base = part.data(), .iov_len = part.size()};
    left -= part.size();
    offset = (offset + part.size()) % response_bytes_;
  }
  return used;
}

void RawServer::watch(Connection& connection) {
  connection.waits_to_send = connection.owes();
  epoll_event event{.events = EPOLLIN | (connection.waits_to_send ? uint32_t{EPOLLOUT} : 0u), .data = {.ptr = &connection}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd.get(), &event) != 0) die("epoll_ctl");
}

}  // namespace weft::bench
