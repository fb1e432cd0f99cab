// What the measuring programs need of Linux: sockets set up alike on both sides, pinned threads, and the CPU time of another process.
// A measurement that cannot be made as asked ends the program: every function here that meets an error calls die().
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/fd.h"

namespace weft::bench {

/// Prints "PROGRAM: what" (and what errno says, if it is set) to stderr and exits with 1.
[[noreturn]] void die(std::string_view what);

/// 127.0.0.1:4420, IPv4 only.
struct Endpoint {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
};

/// A listening socket, not blocking; `port_of` says which port 0 became.
Fd listen_on(const Endpoint& endpoint);
uint16_t port_of(const Fd& listener);

/// A connected, blocking socket whose receives give up after 5 s.
Fd connect_to(const Endpoint& endpoint);

/// TCP_NODELAY, and cubic whatever the machine's default is: a pacing algorithm would measure itself.
void set_up_stream(const Fd& stream);
void set_nonblocking(const Fd& fd);

/// Pins the calling thread. Negative: leaves it where it is.
void pin_to_cpu(int cpu);

/// CPU time of all threads of a process since it started.
struct CpuTime {
  std::chrono::nanoseconds total{};   // exact, from schedstat
  std::chrono::nanoseconds user{};    // from the accounting of clock ticks: 10 ms steps
  std::chrono::nanoseconds system{};  // the same
  std::chrono::nanoseconds waited{};  // ready to run, but others ran
};
CpuTime cpu_time_of(int pid);

}  // namespace weft::bench
