// The clock suite on the simulator's clock.
#include "sim/core.h"
#include "tests/conformance/clock_conformance.h"

namespace weft::conformance {
namespace {

class CoreWorld {
 public:
  Clock& clock() { return core_; }
  void poll() {}
  void wake_soon() {
    agenda_.after(milliseconds(1), [this] { core_.wake(); });
  }

 private:
  sim::Agenda agenda_{1};
  sim::Core core_{agenda_, 1};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Core, ClockConformance, CoreWorld);

}  // namespace
}  // namespace weft::conformance
