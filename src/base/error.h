// Why an operation of ours failed: a code, what we tried and on what. No heap, so that reporting a failure cannot fail.
#pragma once
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>

namespace weft {

enum class Errc { kInvalid, kNotFound, kBusy, kExists, kLimit, kDenied, kIo, kUnsupported, kClosed, kTimedOut };

struct Error {
  Errc code;
  char text[256];  // what we tried, on what, and what to do; NUL-terminated

  Error(Errc c, std::string_view what) : code(c) {
    const size_t n = what.size() < sizeof(text) - 1 ? what.size() : sizeof(text) - 1;
    std::memcpy(text, what.data(), n);
    text[n] = 0;
  }
  /// "what: strerror(errno_value)".
  static Error from_errno(int errno_value, std::string_view what) {
    Error e{errno_value == ENOENT   ? Errc::kNotFound
            : errno_value == EBUSY  ? Errc::kBusy
            : errno_value == EACCES || errno_value == EPERM ? Errc::kDenied
                                    : Errc::kIo,
            what};
    const size_t n = std::strlen(e.text);
    std::snprintf(e.text + n, sizeof(e.text) - n, ": %s", std::strerror(errno_value));
    return e;
  }
  std::string_view what() const { return text; }
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Errc code, std::string_view what) { return std::unexpected(Error{code, what}); }

}  // namespace weft
