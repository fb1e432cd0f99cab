#include "sim/nvme_shapes.h"

namespace weft::sim {

NvmeShape draw_shape(Prng& random) {
  NvmeShape shape;
  shape.queue_entries_max = 4u << random.below(3);
  shape.doorbell_stride_log2 = uint32_t(random.below(3));
  constexpr uint8_t kMdts[] = {0, 1, 3, 5};
  shape.mdts = kMdts[random.below(4)];
  shape.wzsl = kMdts[random.below(4)];
  shape.has_shadow_doorbells = random.one_in(2);
  shape.has_sgls = random.one_in(3);
  shape.has_write_zeroes = !random.one_in(4);
  shape.has_deallocate = !random.one_in(4);
  shape.deallocates_when_zeroing = !random.one_in(3);
  return shape;
}

}  // namespace weft::sim
