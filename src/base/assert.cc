#include "base/assert.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace weft {
namespace {
// The only globals of base/: a crash must be able to speak from anywhere.
std::atomic<void (*)()> crash_hook{nullptr};
std::atomic<uint64_t> suspects{0};
}  // namespace

void assert_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "weft: assertion failed: %s (%s:%d)\n", condition, file, line);
  if (auto* hook = crash_hook.exchange(nullptr)) hook();
  std::abort();
}

void set_crash_hook(void (*hook)()) { crash_hook = hook; }

void suspect_failed(const char* condition, const char* file, int line) {
#ifdef WEFT_SLOW_CHECKS
  assert_failed(condition, file, line);
#else
  if (suspects.fetch_add(1, std::memory_order_relaxed) == 0) {
    std::fprintf(stderr, "weft: suspicious: %s (%s:%d); counted from here on\n", condition, file, line);
  }
#endif
}

uint64_t suspects_count() { return suspects.load(std::memory_order_relaxed); }

}  // namespace weft
