// Controllers of every kind, drawn.
#pragma once
#include "base/prng.h"
#include "sim/nvme_options.h"

namespace weft::sim {

/// What a controller can be, but for its names and its queues.
NvmeShape draw_shape(Prng& random);

}  // namespace weft::sim
