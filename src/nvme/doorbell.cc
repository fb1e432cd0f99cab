#include "nvme/doorbell.h"

#include <utility>

#include "base/simulation.h"

namespace weft::nvme {

void Doorbell::reset() {
  last_ = 0;
  if (shadow_ == nullptr) return;
  *shadow_ = 0;
  *event_ = 0;
}

void Doorbell::ring(uint16_t index) {
  const uint16_t last = std::exchange(last_, index);
  if (shadow_ != nullptr) {
    *shadow_ = index;
    // The device writes EventIdx and then looks at the value once more. We write the value and then look at EventIdx: one of the two must see the
    // other's, so the load below must not overtake the store above.
    if (!WEFT_PLANTED("nvme-shadow-not-fenced")) function_.fence();
    if (!passes_event(uint16_t(*event_), last, index)) return;
  }
  function_.write32(property::kDoorbells + offset_, index);
  ++rings_;
}

}  // namespace weft::nvme
