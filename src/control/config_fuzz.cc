// Arbitrary text as a configuration file, a device and an address: never a crash, every refusal says why and where, and
// what is accepted keeps the rules that it was checked for and can be shown.
#include "base/assert.h"
#include "control/address.h"
#include "control/config_toml.h"
#include "control/device_spec.h"
#include "control/explain_memory.h"
#include "control/validate.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>

namespace {

using namespace weft;

void check(const control::Problems& problems) {
  WEFT_ASSERT(!problems.empty());
  for (const control::Problem& problem : problems) {
    WEFT_ASSERT(problem.at.line > 0);
    WEFT_ASSERT(!control::to_text(problem, "file").empty());
  }
}

void check(const control::Config& config) {
  WEFT_ASSERT(control::validate(config, control::Wording::kFile).empty());
  for (const LimitRow& row : kLimitTable) WEFT_ASSERT(config.target.limits.*row.value >= row.minimum);
  for (const control::SubsystemConfig& subsystem : config.subsystems) {
    std::set<uint32_t> nsids;
    for (const control::NamespaceConfig& ns : subsystem.namespaces) {
      WEFT_ASSERT(ns.nsid > 0);
      WEFT_ASSERT(nsids.insert(ns.nsid).second);
      WEFT_ASSERT(!control::to_text(ns.device).empty());
    }
  }
  for (const control::ListenerConfig& listener : config.listeners) {
    const auto again = control::parse_endpoint(control::to_text(listener.endpoint()));
    WEFT_ASSERT(again.has_value() && *again == listener.endpoint());
  }
  WEFT_ASSERT(control::explain_memory(config.target.limits, control::scale_of(config)).ends_with('\n'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto config = control::parse_config(text);
  config ? check(*config) : check(config.error());
  const auto device = control::parse_device_spec(text);
  WEFT_ASSERT(device ? !control::to_text(*device).empty() : !device.error().what().empty());
  if (const auto address = control::parse_address(text)) {
    const auto again = control::parse_address(control::to_text(*address));
    WEFT_ASSERT(again.has_value() && *again == *address);
    WEFT_ASSERT(!(control::is_loopback(*address) && control::is_wildcard(*address)));
  }
  return 0;
}
