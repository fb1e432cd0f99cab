// The rules that a configuration keeps beyond its syntax: what is unique, what fits together, and who may connect.
// Pure: nothing is opened.
#pragma once
#include "control/config.h"
#include "control/problem.h"

#include <cstdint>

namespace weft::control {

/// Which words messages use for the fix: keys of the file, or flags of `weft serve`.
enum class Wording : uint8_t { kFile, kFlags };

/// Everything that is wrong with `config`, grouped by subject; empty when nothing is. Requires: every NSID is given
/// (with_nsids()).
///
/// Access: a subsystem that lists no hosts and does not say allow_any_host accepts any host, but only when every
/// listener is on loopback and no namespace is a raw block device; otherwise that is a problem.
Problems validate(const Config& config, Wording wording);

}  // namespace weft::control
