// Capsules in, data both ways, responses out.
#include <algorithm>
#include <new>
#include <utility>

#include "base/bytes.h"
#include "base/simulation.h"
#include "transport/rdma/connection.h"
#include "wire/fabrics/connect.h"

namespace weft::rdma {

// --- capsules -----------------------------------------------------------------------------------------------------------------------------------

void Connection::received(ReceiveSlot& slot, uint32_t size) {
  if (!takes_commands_ || phase_ >= Phase::kLingering) return owner_.give_back(slot);
  slot.size = size;
  if (phase_ == Phase::kLive && kept_.empty() && take(slot) == Taken::kYes) return;
  if (phase_ >= Phase::kLingering) return owner_.give_back(slot);
  // More than this are not its own: they were reserved for other hosts.
  if (kept_count_ == settings_.request.send_entries) {
    owner_.give_back(slot);
    return violate("more capsules than HSQSIZE allows");
  }
  if (phase_ == Phase::kAccepting) WEFT_PROBE("rdma/capsule-before-established");
  kept_.push_back(slot);
  ++kept_count_;
}

/// Capsules that have waited, in their order, until one has to wait again.
void Connection::take_kept() {
  while (phase_ == Phase::kLive && !is_paused_ && !kept_.empty()) {
    ReceiveSlot& slot = *kept_.pop_front();
    --kept_count_;
    if (!takes_commands_) {
      owner_.give_back(slot);
    } else if (take(slot) == Taken::kStalled) {
      kept_.push_front(slot);
      ++kept_count_;
    }
  }
}

/// kStalled: the slot is the caller's to keep.
Connection::Taken Connection::take(ReceiveSlot& slot) {
  const auto* sqe = view<nvme::Sqe>(slot.capsule());
  const bool is_connecting = queue_.state() == nvmf::QueueState::kFresh;
  nvmf::Command* command = nullptr;
  if (sqe == nullptr) {
    violate("a capsule of less than 64 bytes");
  } else if (is_connecting && !is_connect_right(*sqe)) {
    violate("a Connect that differs from its connection request");
  } else if (command = stalled_ != nullptr ? std::exchange(stalled_, nullptr) : queue_.begin(*sqe); command == nullptr) {
    violate("more commands than the queue holds");
  }
  if (command == nullptr) {
    owner_.give_back(slot);
    return Taken::kYes;
  }
  if (command->sqe.sgl.type == nvme::SglDescriptor::kLastSegmentOffset) command->sqe.sgl.address = 0;  // see keep_list()
  const auto reading = read_sgl(*sqe, slot.capsule().subspan(sizeof(nvme::Sqe)), shared_.shard.limits().rdma_in_capsule_bytes);
  if (reading.segments.size() > 1 || (!reading.segments.empty() && reading.segments.data() != &sqe->sgl)) {
    keep_list(*command, slot, reading.segments);
    const auto submitted = queue_.submit(*command, reading.descriptor, {});
    WEFT_ASSERT(submitted == nvmf::Submitted::kTaken);  // only in-capsule data can stall
    return Taken::kYes;
  }
  if (queue_.submit(*command, reading.descriptor, reading.in_capsule) == nvmf::Submitted::kStalled) {
    WEFT_PROBE("rdma/capsule-waits-for-a-buffer");
    stalled_ = command;
    is_paused_ = true;
    return Taken::kStalled;
  }
  owner_.give_back(slot);
  return Taken::kYes;
}

/// A queue's first command says again what the connection request has said. Others are the queue's to refuse.
bool Connection::is_connect_right(const nvme::Sqe& sqe) {
  if (sqe.opcode != nvme::kFabricsOpcode || fabrics::Fctype(sqe.fctype()) != fabrics::Fctype::kConnect) return true;
  const auto& connect = reinterpret_cast<const fabrics::ConnectSqe&>(sqe);
  return connect.qid == settings_.request.qid && connect.sqsize < settings_.request.send_entries;
}

// --- descriptors --------------------------------------------------------------------------------------------------------------------------------

// A list of descriptors stays in its capsule until the response is staged. The command's own copy of the SQE says where, in its list descriptor:
// the address becomes that of the slot, the length the number of descriptors and their offset in the slot. Address 0: there is no list.

void Connection::keep_list(nvmf::Command& command, ReceiveSlot& slot, std::span<const nvme::SglDescriptor> segments) {
  WEFT_PROBE("rdma/list-of-descriptors");
  const auto offset = size_t(reinterpret_cast<const std::byte*>(segments.data()) - slot.bytes.data());
  static_assert(sizeof(uintptr_t) == sizeof(uint64_t));
  WEFT_ASSERT(offset < slot.bytes.size() && slot.bytes.size() <= 1 << 16);
  command.sqe.sgl.address = uint64_t{reinterpret_cast<uintptr_t>(&slot)};
  command.sqe.sgl.length = uint32_t(segments.size() << 16 | offset);
  lists_.push_back(slot);
}

std::span<const nvme::SglDescriptor> Connection::segments_of(const nvmf::Command& command) {
  const nvme::SglDescriptor& sgl = command.sqe.sgl;
  if (sgl.type == nvme::SglDescriptor::kKeyedDataBlock || sgl.type == nvme::SglDescriptor::kKeyedDataBlockInvalidate) return {&sgl, 1};
  const ReceiveSlot* slot = list_of(command);
  if (slot == nullptr) return {};
  const uint32_t place = sgl.length;
  return {reinterpret_cast<const nvme::SglDescriptor*>(slot->bytes.data() + (place & 0xffff)), place >> 16};
}

/// The slot that keep_list() has kept for the command, or null.
ReceiveSlot* Connection::list_of(const nvmf::Command& command) {
  if (command.sqe.sgl.type != nvme::SglDescriptor::kLastSegmentOffset) return nullptr;
  return reinterpret_cast<ReceiveSlot*>(uintptr_t{uint64_t{command.sqe.sgl.address}});
}

void Connection::release_list(nvmf::Command& command) {
  ReceiveSlot* slot = list_of(command);
  if (slot == nullptr) return;
  command.sqe.sgl.address = 0;
  slot->link.unlink();
  owner_.give_back(*slot);
}

// --- data of the host: RDMA READ ----------------------------------------------------------------------------------------------------------------

Connection::Fetch& Connection::fetch_of(nvmf::Command& command) { return *std::launder(reinterpret_cast<Fetch*>(command.io.scratch)); }

void Connection::start_receive(nvmf::Command& command) {
  new (command.io.scratch) Fetch{};
  if (!may_send()) return;  // comes home by ended()
  fetching_.push_back(command);
  owner_.wants_flush(*this);
}

void Connection::stage_reads() {
  while (nvmf::Command* command = fetching_.front()) {
    if (!stage_read(*command)) break;
    command->link.unlink();
  }
}

/// False: the negotiated number of READs is outstanding, or the ring is full; it goes on from there.
bool Connection::stage_read(nvmf::Command& command) {
  Fetch& fetch = fetch_of(command);
  const auto segments = segments_of(command);
  while (fetch.fetched < command.transfer_length) {
    if ((ring_.reads() >= settings_.reads_max && !WEFT_PLANTED("rdma-reads-beyond-depth")) || ring_.room() == 0) {
      WEFT_PROBE("rdma/reads-wait");
      return false;
    }
    WEFT_ASSERT(fetch.segment < segments.size());
    const Segment segment = segment_of(segments[fetch.segment]);
    const uint32_t left = segment.length - fetch.segment_offset;
    const auto length = uint32_t(std::min<uint64_t>(left, settings_.device.message_bytes_max));
    if (length > 0) {
      ring_.stage_read({.local_address = reinterpret_cast<uintptr_t>(command.data.data() + fetch.fetched),
                        .length = length,
                        .local_key = key_of(command),
                        .remote_address = segment.address + fetch.segment_offset,
                        .remote_key = segment.key},
                       command);
      ++fetch.outstanding;
      fetch.fetched += length;
      fetch.segment_offset += length;
    }
    if (fetch.segment_offset == segment.length) {
      ++fetch.segment;
      fetch.segment_offset = 0;
    }
  }
  return true;
}

// --- responses: RDMA WRITE and SEND -------------------------------------------------------------------------------------------------------------

void Connection::respond(nvmf::Command& command) {
  if (transport::is_breach(command.status)) {
    tell(EventLog::Kind::kBreach, "command {:02x}h with CID {} on queue {}: {}", command.sqe.opcode, command.cid(), queue_.qid(),
         nvme::name_of(command.status));
  }
  if (!may_send()) return;  // comes home by ended()
  if (!responding_.empty() || !stage_response(command)) responding_.push_back(command);
  owner_.wants_flush(*this);
}

/// False: the ring has no room for all of it.
bool Connection::stage_response(nvmf::Command& command) {
  const auto segments = segments_of(command);
  const bool has_data = command.status.ok() && !command.response_data.empty();
  const uint32_t writes = has_data ? writes_for(segments, command.response_data.size()) : 0;
  if (writes + 1 > ring_.room()) {
    WEFT_PROBE("rdma/response-waits-for-room");
    return false;
  }
  const auto key = key_to_invalidate(segments);
  if (has_data && (WEFT_PLANTED("rdma-response-before-data") || (key && WEFT_PLANTED("rdma-key-used-after-invalidation")))) {
    ring_.stage_response(queue_.make_cqe(command), key, {}, command);
    stage_writes(command, segments);
    return true;
  }
  if (has_data) stage_writes(command, segments);
  release_list(command);
  HeldBuffer buffer;
  if (has_data && !WEFT_PLANTED("rdma-buffer-freed-early")) {  // the ring's, until the device has read it
    buffer = {command.share, std::exchange(command.buffer, {})};
    command.data = {};
    command.response_data = {};
  }
  ring_.stage_response(queue_.make_cqe(command), key, buffer, command);
  return true;
}

/// How many WRITEs take `size` bytes to the segments, at most.
uint32_t Connection::writes_for(std::span<const nvme::SglDescriptor> segments, size_t size) const {
  return uint32_t(segments.size() + size / settings_.device.message_bytes_max);
}

void Connection::stage_writes(nvmf::Command& command, std::span<const nvme::SglDescriptor> segments) {
  auto data = command.response_data;
  WEFT_SUSPECT(data.size() == command.transfer_length);
  WEFT_ASSERT(!command.buffer.empty());  // not lent: what is no pool's has no key
  for (const nvme::SglDescriptor& descriptor : segments) {
    const Segment segment = segment_of(descriptor);
    for (uint32_t offset = 0; offset < segment.length && !data.empty();) {
      const auto length = uint32_t(std::min<uint64_t>({segment.length - offset, data.size(), settings_.device.message_bytes_max}));
      ring_.stage_write({.local_address = reinterpret_cast<uintptr_t>(data.data()),
                         .length = length,
                         .local_key = key_of(command),
                         .remote_address = segment.address + offset,
                         .remote_key = segment.key},
                        command);
      offset += length;
      data = data.subspan(length);
    }
  }
}

/// The key of the first descriptor that asks for it: a SEND invalidates one, the host does the others itself.
std::optional<uint32_t> Connection::key_to_invalidate(std::span<const nvme::SglDescriptor> segments) const {
  if (!settings_.device.can_invalidate_remotely) return std::nullopt;
  for (const nvme::SglDescriptor& descriptor : segments) {
    const Segment segment = segment_of(descriptor);
    if (!segment.is_to_invalidate && !WEFT_PLANTED("rdma-invalidates-unasked")) continue;
    WEFT_PROBE("rdma/invalidates-a-key");
    return segment.key;
  }
  return std::nullopt;
}

void Connection::done(SendRing::Done what) {
  switch (what.kind) {
    case SendRing::Kind::kWrite: return;  // its response says when the buffer is free
    case SendRing::Kind::kRead: {
      nvmf::Command& command = *what.command;
      Fetch& fetch = fetch_of(command);
      if (--fetch.outstanding == 0 && fetch.fetched == command.transfer_length) queue_.received(command, nvme::status::kSuccess);
      return;
    }
    case SendRing::Kind::kResponse: return free(what.buffer);
  }
}

}  // namespace weft::rdma
