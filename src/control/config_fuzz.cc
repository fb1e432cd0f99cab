// Arbitrary text as a configuration file, a device and an address: never a crash, and every refusal says why and where.
#include "base/assert.h"
#include "control/address.h"
#include "control/config_toml.h"
#include "control/device_spec.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace control = weft::control;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto config = control::parse_config(text);
  if (!config) {
    WEFT_ASSERT(!config.error().empty());
    for (const control::Problem& problem : config.error()) {
      WEFT_ASSERT(problem.at.line > 0);
      WEFT_ASSERT(!control::to_text(problem, "file").empty());
    }
  }
  const auto device = control::parse_device_spec(text);
  WEFT_ASSERT(!device || !control::to_text(*device).empty());
  if (const auto address = control::parse_address(text)) {
    WEFT_ASSERT(control::parse_address(control::to_text(*address)).has_value());
    WEFT_ASSERT(!(control::is_loopback(*address) && control::is_wildcard(*address)));
  }
  return 0;
}
