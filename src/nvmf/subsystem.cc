#include "nvmf/subsystem.h"

#include <algorithm>

namespace weft::nvmf {

bool HostAccess::allows(std::string_view host_nqn, bool is_loopback_listener) const {
  if (allow_any_host) return true;
  if (hosts.empty()) return is_loopback_listener;
  return std::ranges::find(hosts, host_nqn) != hosts.end();
}

nvme::Status Subsystem::admits(std::string_view host_nqn, bool is_loopback_listener) const {
  if (is_leaving_) return nvme::status::kConnectInvalidParameters.with_dnr();
  if (!access_.allows(host_nqn, is_loopback_listener)) return nvme::status::kConnectInvalidHost.with_dnr();
  return nvme::status::kSuccess;
}

void Subsystem::erase_namespace(uint32_t nsid) {
  const auto erased = namespaces_.erase(nsid);
  WEFT_ASSERT(erased == 1);
  if (namespaces_.empty() && on_empty_) std::exchange(on_empty_, {})();
}

void Subsystem::when_empty(std::move_only_function<void()> then) {
  WEFT_ASSERT(!on_empty_);
  if (namespaces_.empty()) return then();
  on_empty_ = std::move(then);
}

}  // namespace weft::nvmf
