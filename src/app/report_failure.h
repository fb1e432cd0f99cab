// How a host tool says that it failed.
#pragma once
#include <cstdio>

#include "base/error.h"

namespace weft::app {

/// "weft COMMAND: why" on stderr. Returns the exit code 1.
inline int report_failure(const char* command, const Error& error) {
  std::fprintf(stderr, "weft %s: %s\n", command, error.text);
  return 1;
}

}  // namespace weft::app
