#include "verbs/receives.h"

#include <utility>

namespace weft::verbs {

Receives::Receives(Region region, uint32_t count, size_t slot_bytes) : region_(std::move(region)), slots_(count) {
  WEFT_ASSERT(region_.bytes().size() >= count * slot_bytes);
  for (uint32_t i = 0; i < count; ++i) {
    ReceiveSlot& slot = slots_[i];
    slot.bytes = region_.bytes().subspan(i * slot_bytes, slot_bytes);
    slot.piece = {.addr = reinterpret_cast<uint64_t>(slot.bytes.data()), .length = uint32_t(slot_bytes), .lkey = 0};
    slot.request = {.wr_id = kReceiveBit | i, .next = nullptr, .sg_list = &slot.piece, .num_sge = 1};
    give_back(slot);
  }
}

Receives::~Receives() = default;

void Receives::set_key(uint32_t key) {
  for (ReceiveSlot& slot : slots_) slot.piece.lkey = key;
}

void Receives::give_back(ReceiveSlot& slot) {
  WEFT_ASSERT(!slot.link.is_linked());
  slot.size = 0;
  slot.request.next = std::exchange(first_, &slot.request);
}

ibv_recv_wr* Receives::take_list() { return std::exchange(first_, nullptr); }

}  // namespace weft::verbs
