// One outstanding command of a host: a slot of its queue's SlotTable, from the capsule's arrival to the last byte of its response.
// Lives on the queue's reactor. Everything a command needs on its way is embedded here, so the I/O path never allocates.
//
//   transport: begin → [data descriptor] → submit ─► Queue: gate, admit, buffer ─► transport: start_receive (host data)
//   ─► Queue: execute ─► bdev ─► Queue: complete ─► transport: respond ─► responded: the slot is free again
#pragma once
#include <cstdint>
#include <span>

#include "base/time.h"
#include "bdev/io.h"
#include "core/buffer_pool.h"
#include "wire/nvme/command.h"

namespace weft::nvmf {

class NamespaceView;
class Queue;

/// Parked states name who wakes them.
enum class CommandState : uint8_t {
  kFree,         // in the SlotTable
  kNew,          // taken by begin(); submit() or reject() follows
  kWaitBuffer,   // parked: BufferPool::poll()
  kReceiving,    // parked: the transport brings the host's data: Queue::received()
  kWaitPartner,  // parked: the other half of the fused pair
  kFrozen,       // parked: NamespaceView::thaw()
  kExecuting,    // in a device, in a message to another reactor
  kHeldEvent,    // an Asynchronous Event Request: parked until an event
  kResponding,   // the transport's, until Queue::responded()
  kQuarantined,  // answered or given up, but the device still holds the Io and its buffer
};

/// What is used of a lent read, which ends in the call in which it came, lies in the first cache lines.
struct alignas(64) Command final : public BufferWaiter {
  Queue* queue = nullptr;  // null once the queue is gone and the command is quarantined
  CommandState state = CommandState::kFree;
  uint8_t generation = 0;  // of the slot; with `index`, the transfer tag
  uint16_t index = 0;      // of the slot in the queue's SlotTable
  uint16_t next_by_cid = 0;  // the SlotTable's
  bool is_duplicate = false;  // its CID is another outstanding command's
  bool awaits_scratch = false;  // the buffer it waits for is `scratch`, not `data`
  bool holds_freeze = false;  // its range is frozen for it: thawed when it completes
  Share share = Share::kRead;  // where `buffer` is from
  uint8_t view_epoch = 0;
  nvme::Status doom;  // not ok: what it is completed with as soon as its data has arrived (Abort, a failed partner)
  nvme::Status status;
  uint32_t transfer_length = 0;  // bytes that the host sends or expects
  nvme::Sqe sqe;

  std::span<std::byte> buffer;               // of the pool, as it was allocated; empty: none
  std::span<std::byte> data;                 // the host's data, or what is filled for it: in `buffer`, or in-capsule where the transport received it,
                                             // and then only during submit()
  std::span<const std::byte> response_data;  // what goes to the host with the response: part of `data`, or lent media memory
  NamespaceView* target_view = nullptr;      // the namespace it names; held until the slot is free
  Command* partner = nullptr;                // the other half of a fused pair
  // Commands made of several Ios (Compare, Verify, Copy, Dataset Management, flush of all): where they are. IoRunner's.
  uint64_t step = 0;
  uint64_t step_offset = 0;
  Instant started{};  // when it was handed to the device; zero while it is in none
  uint64_t result = 0;  // CDW0 (31:0) and CDW1 (63:32) of the completion

  NamespaceView* view = nullptr;  // counted in the view while set
  std::span<std::byte> scratch;
  Link link;  // of the list that parks it
  bdev::Io io;

  void on_buffer(std::span<std::byte> granted) override;
  uint16_t cid() const { return sqe.cid; }
};

}  // namespace weft::nvmf
