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
  // Of a copy of the numbers, so that what was drawn from a seed before there was this is drawn still.
  Prng more{Prng{random}.next()};
  shape.vsl = kMdts[more.below(4)];
  shape.has_compare = !more.one_in(3);
  shape.has_verify = !more.one_in(3);
  shape.has_copy = !more.one_in(3);
  shape.mssrl = uint16_t(1 + more.below(more.one_in(2) ? 8 : 128));
  shape.mcl = uint32_t(1 + more.below(more.one_in(2) ? 16 : 512));
  shape.msrc = uint8_t(more.one_in(2) ? more.below(4) : 127);
  return shape;
}

}  // namespace weft::sim
