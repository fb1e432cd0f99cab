// Statements of belief. WEFT_ASSERT: our own bug; on in every build; prints the condition, runs the crash hook, aborts.
// WEFT_SUSPECT: not proven impossible; counted in release, fatal in debug and simulation builds. WEFT_CHECK_SLOW: for O(n) checks.
// Bytes from a peer, a file or a device are never asserted on.
#pragma once
#include <cstdint>

namespace weft {

/// Prints to stderr, calls the crash hook once and aborts. Does not return.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line);

/// Called once before abort, to dump traces. Set by app/ at start; must not allocate.
void set_crash_hook(void (*hook)());

/// Counts one failed WEFT_SUSPECT; fatal where WEFT_SLOW_CHECKS is set.
void suspect_failed(const char* condition, const char* file, int line);

/// How many WEFT_SUSPECTs have failed since start.
uint64_t suspects_count();

}  // namespace weft

#define WEFT_ASSERT(condition) \
  (__builtin_expect(!!(condition), 1) ? void(0) : ::weft::assert_failed(#condition, __FILE__, __LINE__))
#define WEFT_SUSPECT(condition) \
  (__builtin_expect(!!(condition), 1) ? void(0) : ::weft::suspect_failed(#condition, __FILE__, __LINE__))
#ifdef WEFT_SLOW_CHECKS
#define WEFT_CHECK_SLOW(condition) WEFT_ASSERT(condition)
#else
#define WEFT_CHECK_SLOW(condition) void(0)
#endif
