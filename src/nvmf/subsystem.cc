#include "nvmf/subsystem.h"

#include <algorithm>

namespace weft::nvmf {

bool HostAccess::allows(std::string_view host_nqn, bool is_loopback_listener) const {
  if (allow_any_host) return true;
  if (hosts.empty()) return is_loopback_listener;
  return std::ranges::find(hosts, host_nqn) != hosts.end();
}

}  // namespace weft::nvmf
