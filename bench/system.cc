#include "bench/system.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace weft::bench {
namespace {

sockaddr_in address_of(const Endpoint& endpoint) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  if (inet_pton(AF_INET, endpoint.host.c_str(), &address.sin_addr) != 1) die("not an IPv4 address: " + endpoint.host);
  return address;
}

Fd new_stream_socket() {
  Fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (fd.get() < 0) die("socket");
  return fd;
}

}  // namespace

void die(std::string_view what) {
  const int error = errno;
  std::fprintf(stderr, "%s: %.*s", program_invocation_short_name, int(what.size()), what.data());
  if (error != 0) std::fprintf(stderr, " (%s)", std::strerror(error));
  std::fputc('\n', stderr);
  std::exit(1);
}

Fd listen_on(const Endpoint& endpoint) {
  Fd fd = new_stream_socket();
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = address_of(endpoint);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("bind");
  if (::listen(fd.get(), 1024) != 0) die("listen");
  set_nonblocking(fd);
  return fd;
}

uint16_t port_of(const Fd& listener) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) die("getsockname");
  return ntohs(address.sin_port);
}

Fd connect_to(const Endpoint& endpoint) {
  Fd fd = new_stream_socket();
  set_up_stream(fd);
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const sockaddr_in address = address_of(endpoint);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    die("cannot connect to " + endpoint.host + ":" + std::to_string(endpoint.port));
  }
  return fd;
}

void set_up_stream(const Fd& stream) {
  const int on = 1;
  if (::setsockopt(stream.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) die("TCP_NODELAY");
  constexpr std::string_view kCubic = "cubic";
  // A kernel without cubic has only one algorithm that is not asked for by name: then both sides have that.
  ::setsockopt(stream.get(), IPPROTO_TCP, TCP_CONGESTION, kCubic.data(), socklen_t(kCubic.size()));
}

void set_nonblocking(const Fd& fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) die("O_NONBLOCK");
}

void pin_to_cpu(int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) die("cannot pin to CPU " + std::to_string(cpu));
}

CpuTime cpu_time_of(int pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  CpuTime time;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(process + "/task", error)) {
    uint64_t on_cpu_ns = 0;
    uint64_t waited_ns = 0;
    if (!(std::ifstream(task.path() / "schedstat") >> on_cpu_ns >> waited_ns)) continue;  // it has just ended
    time.total += std::chrono::nanoseconds(on_cpu_ns);
    time.waited += std::chrono::nanoseconds(waited_ns);
  }
  std::ifstream file(process + "/stat");
  std::string line;
  if (error || !std::getline(file, line)) die("cannot read the CPU time of process " + std::to_string(pid));
  // After the name, which is in brackets and may hold anything: state, 10 numbers, utime, stime.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  uint64_t user_ticks = 0;
  uint64_t system_ticks = 0;
  fields >> user_ticks >> system_ticks;
  const auto tick = std::chrono::nanoseconds(1'000'000'000 / ::sysconf(_SC_CLK_TCK));
  time.user = user_ticks * tick;
  time.system = system_ticks * tick;
  if (time.total.count() == 0) time.total = time.user + time.system;  // a kernel without schedstat
  return time;
}

}  // namespace weft::bench
