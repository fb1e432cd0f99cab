// The load against the raw ceiling's requests over a socket pair, in one more thread: what differs is counted right, whatever the parts it comes in.
#include "bench/load.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <thread>

#include "bench/raw_requests.h"

namespace weft::bench {
namespace {

/// Serves one connection until it is closed; sends at most `bytes_max` at a time.
void serve(const Fd& stream, const Workload& workload, size_t bytes_max) {
  RawMedium medium(RawMedium::Kind::kHot, workload);
  RawRequests requests(medium);
  std::vector<std::byte> buffer(10'000);
  while (true) {
    const ssize_t count = ::recv(stream.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) return;
    requests.receive(std::span(buffer).first(size_t(count)));
    while (requests.has_answers()) {
      iovec piece{};
      requests.answers().gather(std::span(&piece, 1));
      const ssize_t sent = ::send(stream.get(), piece.iov_base, std::min(piece.iov_len, bytes_max), MSG_NOSIGNAL);
      if (sent <= 0) return;
      requests.answers().sent(size_t(sent));
    }
  }
}

void run_against_parts(const Workload& workload, size_t bytes_max) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  Fd client{pair[0]};
  const Fd server{pair[1]};
  std::thread thread([&] { serve(server, workload, bytes_max); });
  {
    Load load({.warm_up = std::chrono::milliseconds(1), .duration = std::chrono::milliseconds(20)});
    const Fd* streams[] = {&client};
    load.add({.name = "one", .workload = workload, .map = {.block_bytes = 4096, .block_count = 256}, .queue_depth = 4, .maxh2cdata = 5000}, streams);
    const LoadResult result = load.run();
    ASSERT_EQ(result.groups.size(), 1u);
    EXPECT_GT(result.groups[0].ios, 0u);
    EXPECT_EQ(result.groups[0].latencies.count(), result.groups[0].ios);
    EXPECT_EQ(result.groups[0].connection_ios_max, result.groups[0].ios);
    EXPECT_TRUE(result.groups[0].knows_cids);
  }
  client = Fd{};
  ::shutdown(server.get(), SHUT_RDWR);
  thread.join();
}

TEST(Load, CountsMixedDirections) {
  for (const size_t bytes_max : {size_t{1000}, size_t{1} << 20}) {
    run_against_parts({.direction = Direction::kMixed, .capacity_bytes = 1 << 20, .read_percent = 50}, bytes_max);
  }
}

TEST(Load, AnswersR2ts) { run_against_parts({.direction = Direction::kWrite, .io_bytes = 16384, .capacity_bytes = 1 << 20}, 7); }

}  // namespace
}  // namespace weft::bench
