#include "base/simulation.h"

#ifdef WEFT_SIMULATION
namespace weft {
namespace {

Mark*& newest(Mark::Kind kind) {
  static Mark* probes = nullptr;
  static Mark* plants = nullptr;
  return kind == Mark::Kind::kProbe ? probes : plants;
}

}  // namespace

Mark::Mark(Kind kind, std::string_view name) : name_(name), next_(newest(kind)) { newest(kind) = this; }

Mark* Mark::first(Kind kind) { return newest(kind); }

}  // namespace weft
#endif
