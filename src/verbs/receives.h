// What arrives by SEND over one device on one reactor: registered memory cut into slots, each posted to the shared receive queue until a message
// arrives in it. Belongs to who has the domain; a slot is out while its connection looks at it, and posted again as part of one list per cycle.
#pragma once
#include <infiniband/verbs.h>

#include <span>
#include <vector>

#include "base/intrusive_list.h"
#include "core/memory.h"

namespace weft::verbs {

/// Work requests name themselves: receives by this bit and their slot, sends by their place in the send queue.
inline constexpr uint64_t kReceiveBit = uint64_t{1} << 63;

struct ReceiveSlot {
  Link link;  // of the connection that keeps it
  ibv_recv_wr request{};
  ibv_sge piece{};
  std::span<std::byte> bytes;
  uint32_t size = 0;  // of the message that has arrived
  std::span<const std::byte> capsule() const { return bytes.first(size); }
};

class Receives {
 public:
  /// `region` holds `count` slots of `slot_bytes`. Every slot is to be posted.
  Receives(Region region, uint32_t count, size_t slot_bytes);
  /// Requires: nothing is posted to a device any more.
  ~Receives();
  std::span<std::byte> memory() const { return region_.bytes(); }
  void set_key(uint32_t key);
  /// The slot of a completed receive.
  ReceiveSlot& slot(uint64_t wr_id) { return slots_.at(wr_id & ~kReceiveBit); }
  void give_back(ReceiveSlot& slot);
  /// What was given back, as one list; null when there is nothing. It counts as posted.
  ibv_recv_wr* take_list();

 private:
  Region region_;
  std::vector<ReceiveSlot> slots_;
  ibv_recv_wr* first_ = nullptr;
};

}  // namespace weft::verbs
