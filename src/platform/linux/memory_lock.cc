#include "platform/linux/memory_lock.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdlib>

#include "base/units.h"
#include "platform/linux/text_file.h"

namespace weft::platform {
namespace {

bool may_lock_everything() {
  constexpr int kCapIpcLock = 14;
  const auto status = read_text("/proc/self/status");
  if (!status) return false;
  const size_t at = status->find("CapEff:");
  if (at == std::string::npos) return false;
  return (std::strtoull(status->c_str() + at + 7, nullptr, 16) >> kCapIpcLock & 1) != 0;
}

}  // namespace

Result<void> check_memory_lock(std::string_view who, size_t bytes, size_t locked_bytes) {
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  if (limit.rlim_cur == RLIM_INFINITY || locked_bytes + bytes <= limit.rlim_cur || may_lock_everything()) return {};
  return fail(Errc::kLimit, fmt::format("{} needs {} of locked memory beside {} locked already, but the limit is {}: LimitMEMLOCK=infinity in "
                                        "the service, `ulimit -l unlimited` in a shell, or smaller limits",
                                        who, format_size(bytes), format_size(locked_bytes), format_size(limit.rlim_cur)));
}

}  // namespace weft::platform
