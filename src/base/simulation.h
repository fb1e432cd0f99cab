// What production code carries for the simulator: probes, which say that a rare branch was reached, and plants, bugs
// that a test switches on to see a checker catch them. Both exist only where WEFT_SIMULATION is defined (the libraries
// of weft-sim, and the sanitizer and fuzz builds); elsewhere a probe is nothing and a plant is the constant false.
// docs/simulation.md says when to use them.
#pragma once
#ifdef WEFT_SIMULATION

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weft {

/// A name as a template argument: every use of the same name is the same object.
template <size_t N>
struct MarkName {
  char text[N];
  consteval MarkName(const char (&name)[N]) { std::copy_n(name, N, text); }
};

/// One name in the list of all probes, or of all plants, that are linked into the program. The only mutable global
/// state below app/: a mark must be reachable from any line.
class Mark {
 public:
  enum class Kind : uint8_t { kProbe, kPlant };
  Mark(Kind kind, std::string_view name);
  /// The newest of its kind; the rest by next(). Null: none.
  static Mark* first(Kind kind);
  Mark* next() const { return next_; }
  std::string_view name() const { return name_; }

  void hit() { hits_.fetch_add(1, std::memory_order_relaxed); }
  uint64_t hits() const { return hits_.load(std::memory_order_relaxed); }
  /// Plants only. Whether the bug is on; counts as a hit when it is.
  bool is_on() {
    if (!is_on_.load(std::memory_order_relaxed)) return false;
    hit();
    return true;
  }
  void turn(bool on) { is_on_.store(on, std::memory_order_relaxed); }

 private:
  std::string_view name_;
  Mark* next_;
  std::atomic<uint64_t> hits_{0};
  std::atomic<bool> is_on_{false};
};

template <MarkName kName>
inline Mark probe_mark{Mark::Kind::kProbe, kName.text};
template <MarkName kName>
inline Mark plant_mark{Mark::Kind::kPlant, kName.text};

}  // namespace weft

#define WEFT_PROBE(name) (::weft::probe_mark<name>.hit())
#define WEFT_PLANTED(name) (__builtin_expect(::weft::plant_mark<name>.is_on(), 0))

#else
#define WEFT_PROBE(name) (void(0))
#define WEFT_PLANTED(name) (false)
#endif
