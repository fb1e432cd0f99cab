// The run as a list of events: each goes into one hash, which must be the same when the seed is run again, and is
// printed when asked.
#pragma once
#include "base/time.h"

#include <cstdint>
#include <cstdio>
#include <fmt/format.h>
#include <string>
#include <string_view>

namespace weft::sim {

class Trace {
 public:
  enum class Print : uint8_t { kNo, kYes };
  explicit Trace(Print print) : print_(print) {}

  /// One event. Arguments are values of the simulated world: no addresses of memory, no real time.
  template <typename... Args>
  void note(Instant now, fmt::format_string<Args...> format, Args&&... args) {
    line_.clear();
    fmt::format_to(std::back_inserter(line_), "{:>14.6f} ", double(now.ns) / 1e9);
    fmt::format_to(std::back_inserter(line_), format, std::forward<Args>(args)...);
    mix({line_.data(), line_.size()});
    if (print_ == Print::kYes) fmt::print("{}\n", std::string_view(line_.data(), line_.size()));
  }
  uint64_t hash() const { return hash_; }

 private:
  void mix(std::string_view bytes) {
    for (const char byte : bytes) hash_ = (hash_ ^ uint8_t(byte)) * 0x100000001b3;  // FNV-1a: the order matters
  }

  Print print_;
  uint64_t hash_ = 0xcbf29ce484222325;
  fmt::memory_buffer line_;
};

}  // namespace weft::sim
