#include "nvmf/queue.h"

#include <cstring>

#include "base/simulation.h"
#include "nvmf/admission.h"
#include "nvmf/connect.h"
#include "nvmf/controller.h"
#include "nvmf/fused.h"
#include "nvmf/gate.h"
#include "nvmf/io_runner.h"
#include "nvmf/shard.h"

namespace weft::nvmf {

namespace status = nvme::status;
using nvme::DataDirection;

std::string_view name_of(CloseReason reason) {
  switch (reason) {
    case CloseReason::kControllerReset: return "controller reset";
    case CloseReason::kAssociationEnded: return "association ended";
    case CloseReason::kKeepAliveExpired: return "keep-alive expired";
    case CloseReason::kHandshakeTimeout: return "no Connect in time";
    case CloseReason::kShutdown: return "target stops";
    case CloseReason::kDisconnect: return "Disconnect command";
    case CloseReason::kHostNotAllowed: return "host not allowed any more";
    case CloseReason::kSubsystemRemoved: return "subsystem removed";
  }
  return "";
}

void Command::on_buffer(std::span<std::byte> granted) { queue->buffer_ready(*this, granted); }

Queue::Queue(Shard& shard, TransportOps& ops, Origin origin)
    : owner_(shard.reactor()),
      shard_(shard),
      ops_(ops),
      origin_(std::move(origin)),
      account_(&shard.accounts().strangers()),
      slots_(shard.slots()),
      error_note_(shard.reactor()),
      last_activity_(shard.reactor().now()) {
  shard.add(*this);
}

Queue::~Queue() {
  WEFT_ASSERT(slots_.taken() == 0);
  if (shard_link.is_linked()) shard_.remove(*this);
}

// --- a command comes in ---------------------------------------------------------------------------------------------------------------------

Command* Queue::begin(const nvme::Sqe& sqe) {
  owner_.check();
  heard();
  Command* command = slots_.take(sqe);
  if (command == nullptr) return nullptr;
  WEFT_ASSERT((command->buffer.size() | command->scratch.size()) == 0 && command->view == nullptr && !command->holds_freeze);
  WEFT_CHECK_SLOW(command->data.empty() && command->response_data.empty() && command->target_view == nullptr && command->partner == nullptr);
  WEFT_CHECK_SLOW(command->started == Instant{});
  command->queue = this;
  command->doom = status::kSuccess;
  command->awaits_scratch = false;
  return command;
}

inline Queue::Ordinary Queue::admit_ordinary(Command& command, const DataDescriptor& descriptor) {
  // The opcode, and the flags of a command that is not fused and has an SGL.
  constexpr auto head = [](nvme::IoOpcode opcode) { return uint16_t(uint8_t(opcode) | uint8_t(nvme::Psdt::kSglContiguousMetadata) << 14); };
  const nvme::Sqe& sqe = command.sqe;
  const uint16_t its_head = load_le16(reinterpret_cast<const std::byte*>(&sqe));
  const bool is_read = its_head == head(nvme::IoOpcode::kRead);
  if (!is_read && its_head != head(nvme::IoOpcode::kWrite)) return Ordinary::kNot;
  if (state_ != QueueState::kLive || is_admin() || fused_ != Fused::kNone || command.is_duplicate) return Ordinary::kNot;
  NamespaceView* named = subsystem_->find(sqe.nsid);
  if (named == nullptr || command.target_view != nullptr) return Ordinary::kNot;
  const bdev::Info& info = named->info();
  const uint32_t count = sqe.block_count();
  if (!descriptor.error.ok() || !is_in_range(sqe, info) || descriptor.length != uint64_t{count} * info.block_size) return Ordinary::kNot;
  if (descriptor.length > shard_.limits().data_transfer_bytes) return Ordinary::kNot;
  if (is_read ? descriptor.kind != DataDescriptor::Kind::kRemote : info.is_read_only) return Ordinary::kNot;
  WEFT_CHECK_SLOW(check_data(descriptor, admit_io(sqe, info, shard_.limits())).ok());
  command.target_view = named;
  named->hold();
  return is_read ? Ordinary::kRead : Ordinary::kWrite;
}

uint32_t Queue::in_capsule_max(const nvme::Sqe& sqe) const {
  constexpr uint32_t kAdminMax = 8192;  // NVMe/TCP 1.0a §3.3.1: admin and fabrics commands, whatever IOCCSZ says
  if (sqe.opcode == nvme::kFabricsOpcode || state_ != QueueState::kLive || is_admin()) return kAdminMax;
  return shard_.limits().in_capsule_bytes;
}

nvme::Status Queue::check_data(const DataDescriptor& descriptor, const Admission& admission) const {
  if (admission.direction == DataDirection::kNone) {
    return descriptor.length == 0 ? status::kSuccess : status::kSglLengthInvalid.with_dnr();
  }
  if (!descriptor.error.ok()) return descriptor.error;
  if (descriptor.length > shard_.limits().data_transfer_bytes) return status::kInvalidField.with_dnr();
  if (descriptor.length < admission.length_min || descriptor.length > admission.length_max) {
    return status::kSglLengthInvalid.with_dnr();
  }
  if (admission.direction == DataDirection::kControllerToHost && descriptor.kind == DataDescriptor::Kind::kInCapsule) {
    return status::kInvalidField.with_dnr();
  }
  return status::kSuccess;
}

nvme::Status Queue::admit(Command& command, const DataDescriptor& descriptor) {
  const nvme::Sqe& sqe = command.sqe;
  if (command.is_duplicate) return status::kCommandIdConflict.with_dnr();
  const CommandClass command_class = class_of(sqe, is_admin());
  // Over fabrics every command uses SGLs; fused commands are I/O commands. NVMe Base 2.0 §3.3.3.1, §4.1.
  const bool is_fabrics = command_class == CommandClass::kConnect || command_class == CommandClass::kFabrics;
  if (!is_fabrics && sqe.psdt() != nvme::Psdt::kSglContiguousMetadata) return status::kInvalidField.with_dnr();
  if (sqe.fuse() == nvme::Fuse::kReserved || (sqe.fuse() != nvme::Fuse::kNone && command_class != CommandClass::kIo)) {
    return status::kInvalidField.with_dnr();
  }
  if (const nvme::Status passed = gate(state_, command_class); !passed.ok()) return passed;
  if (command_class == CommandClass::kAdmin && !controller_->is_ready()) return kOutOfOrder;

  Admission admission;
  if (is_fabrics) {
    admission = admit_fabrics(sqe);
  } else if (command_class == CommandClass::kAdmin) {
    admission = admit_admin(sqe, shard_.limits());
  } else if (sqe.nsid == nvme::kNsidAll && nvme::IoOpcode(sqe.opcode) == nvme::IoOpcode::kFlush) {
    admission = {};
  } else {
    NamespaceView* named = subsystem_->find(sqe.nsid);
    if (named == nullptr) return status::kInvalidNamespace.with_dnr();
    if (command.target_view == nullptr) {  // not when a stalled command is submitted again
      command.target_view = named;
      named->hold();  // until the slot is free: its data may be the namespace's memory
    }
    admission = admit_io(sqe, command.target_view->info(), shard_.limits());
  }
  if (!admission.status.ok()) return admission.status;
  return check_data(descriptor, admission);
}

Share Queue::share_for(const Command& command) const {
  if (command.target_view == nullptr) return Share::kAdmin;
  if (nvme::direction_of(command.sqe.opcode) == DataDirection::kControllerToHost) return Share::kRead;
  return command.sqe.fuse() == nvme::Fuse::kNone ? Share::kTransfer : Share::kFused;
}

Submitted Queue::submit(Command& command, const DataDescriptor& descriptor, std::span<const std::byte> in_capsule) {
  WEFT_ASSERT(command.state == CommandState::kNew);
  switch (admit_ordinary(command, descriptor)) {
    case Ordinary::kRead:
      command.transfer_length = descriptor.length;
      IoRunner::start_read(*this, command);
      return Submitted::kTaken;
    case Ordinary::kWrite:
      command.transfer_length = descriptor.length;
      // Memory takes the data from where it was received; what takes time needs it in a buffer of its own.
      if (!in_capsule.empty() && IoRunner::store(*this, command, in_capsule)) return Submitted::kTaken;
      return submit_with_care(command, descriptor, in_capsule, true);
    case Ordinary::kNot: break;
  }
  return submit_with_care(command, descriptor, in_capsule, false);
}

Submitted Queue::submit_with_care(Command& command, const DataDescriptor& descriptor, std::span<const std::byte> in_capsule, bool is_ordinary) {
  if (state_ == QueueState::kStopping) {  // no completion: the host will send it again elsewhere or later
    free(command);
    return Submitted::kTaken;
  }
  const nvme::Status admitted = is_ordinary ? status::kSuccess : admit(command, descriptor);
  const bool is_in_capsule = admitted.ok() && descriptor.kind == DataDescriptor::Kind::kInCapsule && !in_capsule.empty();
  const bool is_kept = is_in_capsule && command.target_view != nullptr;  // admin and fabrics handlers take what they need from the data at once
  if (!is_kept) release_in_capsule_buffer();  // it is not needed after all: the namespace has gone meanwhile
  if (is_kept) {
    // The buffer comes first: without one, nothing may have happened yet.
    command.share = command.sqe.fuse() == nvme::Fuse::kNone ? Share::kInCapsule : Share::kFused;
    const auto buffer = command.share == Share::kInCapsule ? in_capsule_buffer(in_capsule.size())
                                                           : shard_.buffers().try_allocate(*account_, Share::kFused, in_capsule.size());
    if (buffer.empty() && command.share == Share::kInCapsule) {
      WEFT_PROBE("nvmf/capsule-waits-for-buffer");
      if (!is_waiting()) shard_.buffers().wait(*account_, Share::kInCapsule, in_capsule.size(), *this);
      return Submitted::kStalled;
    }
    if (!buffer.empty()) {
      std::memcpy(buffer.data(), in_capsule.data(), in_capsule.size());
      command.buffer = buffer;
      command.data = buffer;
    }
  } else if (is_in_capsule) {
    // Handlers write to `data` only where it is a buffer for the host; here they read.
    command.data = {const_cast<std::byte*>(in_capsule.data()), in_capsule.size()};
  }
  command.transfer_length = admitted.ok() ? descriptor.length : 0;
  const nvme::Status paired = is_ordinary ? status::kSuccess : pair(command, admitted);
  if (!paired.ok()) {
    complete(command, paired);
    return Submitted::kTaken;
  }
  if (is_in_capsule && command.data.empty()) {  // the share for fused pairs is used up
    WEFT_PROBE("nvmf/fused-half-without-buffer");
    complete(command, status::kInternalError);
    return Submitted::kTaken;
  }
  const bool wants_data = command.transfer_length > 0 && command.data.empty();
  const bool is_read = command.target_view != nullptr && nvme::IoOpcode(command.sqe.opcode) == nvme::IoOpcode::kRead;
  if (wants_data && !is_read) {
    command.share = share_for(command);
    want_buffer(command);
  } else {
    execute(command);
  }
  return Submitted::kTaken;
}

/// Fused pairs are formed in the order in which capsules arrive: what may follow a first half is its second, nothing else.
nvme::Status Queue::pair(Command& command, nvme::Status admitted) {
  if (state_ != QueueState::kLive || is_admin()) return admitted;
  const Fused before = std::exchange(fused_, Fused::kNone);
  Command* first = std::exchange(fused_first_, nullptr);
  if (command.sqe.fuse() != nvme::Fuse::kSecond) {
    if (first != nullptr) doom(*first, status::kAbortedMissingFused.with_dnr());
    if (command.sqe.fuse() != nvme::Fuse::kFirst) return admitted;
    if (admitted.ok() && nvme::IoOpcode(command.sqe.opcode) != nvme::IoOpcode::kCompare) admitted = status::kInvalidField.with_dnr();
    fused_ = admitted.ok() ? Fused::kFirstWaits : Fused::kFirstFailed;
    fused_first_ = admitted.ok() ? &command : nullptr;
    return admitted;
  }
  if (before == Fused::kFirstFailed) return status::kAbortedFailedFused.with_dnr();
  if (before == Fused::kNone) return status::kAbortedMissingFused.with_dnr();
  if (admitted.ok() && nvme::IoOpcode(command.sqe.opcode) != nvme::IoOpcode::kWrite) admitted = status::kInvalidField.with_dnr();
  if (admitted.ok() && (first->sqe.nsid != command.sqe.nsid || first->sqe.slba() != command.sqe.slba() ||
                        first->sqe.block_count() != command.sqe.block_count())) {
    admitted = status::kInvalidField.with_dnr();
  }
  if (!admitted.ok()) {
    const bool is_mismatch = admitted.is(status::kInvalidField);
    doom(*first, is_mismatch ? admitted : status::kAbortedFailedFused.with_dnr());
    return admitted;
  }
  first->partner = &command;
  command.partner = first;
  return status::kSuccess;
}

void Queue::doom(Command& command, nvme::Status why) {
  switch (command.state) {
    case CommandState::kWaitBuffer:
      if (command.awaits_scratch) return;
      shard_.buffers().cancel(command);
      return complete(command, why);
    case CommandState::kWaitPartner: return complete(command, why);
    case CommandState::kFrozen:
      NamespaceView::unpark(command);
      return complete(command, why);
    case CommandState::kHeldEvent:
      controller_->events().release(command);
      return complete(command, why);
    case CommandState::kReceiving:
      command.doom = why;  // its transfer tag stays valid until the data has come
      return;
    case CommandState::kFree:
    case CommandState::kNew:
    case CommandState::kExecuting:
    case CommandState::kResponding:
    case CommandState::kQuarantined: return;
  }
}

void Queue::want_buffer(Command& command) {
  BufferPool& pool = shard_.buffers();
  const auto buffer = pool.try_allocate(*account_, command.share, command.transfer_length);
  if (!buffer.empty()) return buffer_ready(command, buffer);
  if (command.share == Share::kFused) return complete(command, status::kInternalError);  // halves never queue up: they would wait for each other
  WEFT_PROBE("nvmf/command-waits-for-buffer");
  enter(command, CommandState::kWaitBuffer);
  pool.wait(*account_, command.share, command.transfer_length, command);
}

void Queue::buffer_ready(Command& command, std::span<std::byte> buffer) {
  if (command.awaits_scratch) {
    command.awaits_scratch = false;
    command.scratch = buffer;
    enter(command, CommandState::kExecuting);
    return IoRunner::scratch_ready(command);
  }
  command.buffer = command.data = buffer;
  if (state_ == QueueState::kStopping) return drop(command);
  const uint8_t kind = command.sqe.opcode == nvme::kFabricsOpcode ? command.sqe.fctype() : command.sqe.opcode;
  // Copy (19h) and the others move data from the host when bit 0 is set; reads have bit 1.
  if (nvme::direction_of(kind) == DataDirection::kHostToController) {
    enter(command, CommandState::kReceiving);
    ops_.start_receive(command);
  } else {
    execute(command);
  }
}

/// The buffer that the stalled capsule has waited for, if it is for this one; else one that is there now; else nothing.
std::span<std::byte> Queue::in_capsule_buffer(size_t size) {
  if (in_capsule_buffer_.size() == size) return std::exchange(in_capsule_buffer_, {});
  release_in_capsule_buffer();
  return shard_.buffers().try_allocate(*account_, Share::kInCapsule, size);
}

void Queue::release_in_capsule_buffer() {
  if (!in_capsule_buffer_.empty()) shard_.buffers().free(Share::kInCapsule, std::exchange(in_capsule_buffer_, {}));
}

bool Queue::has_in_capsule_room(size_t bytes) const { return shard_.buffers().has_room(*account_, Share::kInCapsule, bytes); }

void Queue::on_buffer(std::span<std::byte> buffer) {
  WEFT_ASSERT(in_capsule_buffer_.empty());
  in_capsule_buffer_ = buffer;
  ops_.resume();
}

Command* Queue::find_receiving(uint16_t tag) {
  Command* command = slots_.find_tag(tag);
  return command != nullptr && command->state == CommandState::kReceiving ? command : nullptr;
}

void Queue::received(Command& command, nvme::Status data_status) {
  WEFT_ASSERT(command.state == CommandState::kReceiving);
  if (state_ == QueueState::kStopping) return drop(command);  // not submitted any more; the host sends it again
  if (!command.doom.ok()) {
    WEFT_PROBE("nvmf/doomed-command-has-its-data");
    return complete(command, command.doom);
  }
  if (!data_status.ok()) return complete(command, data_status);
  execute(command);
}

void Queue::execute(Command& command) {
  if (command.sqe.opcode == nvme::kFabricsOpcode) {
    enter(command, CommandState::kExecuting);
    execute_fabrics(command);
  } else if (is_admin()) {
    enter(command, CommandState::kExecuting);
    controller_->execute(command);
  } else {
    IoRunner::start(*this, command);
  }
  // Whoever goes on with the command later may not look at bytes that the receive buffer no longer holds.
  if (command.buffer.empty()) command.data = {};
}

void Queue::execute_fabrics(Command& command) {
  const auto& property = reinterpret_cast<const fabrics::PropertySqe&>(command.sqe);
  const uint32_t size = (property.attrib & 7) == 0 ? 4 : (property.attrib & 7) == 1 ? 8 : 0;
  switch (fabrics::Fctype(command.sqe.fctype())) {
    case fabrics::Fctype::kConnect: return Connector::connect(*this, command);
    case fabrics::Fctype::kPropertyGet: {
      if (!is_admin()) return complete(command, status::kInvalidOpcode.with_dnr());
      const auto value = controller_->get_property(property.ofst, size);
      return value ? complete(command, status::kSuccess, *value) : complete(command, value.error());
    }
    case fabrics::Fctype::kPropertySet:
      if (!is_admin()) return complete(command, status::kInvalidOpcode.with_dnr());
      return complete(command, controller_->set_property(property.ofst, size, property.value));
    case fabrics::Fctype::kDisconnect: return disconnect(command);
    case fabrics::Fctype::kAuthenticationSend:
    case fabrics::Fctype::kAuthenticationReceive: break;
  }
  complete(command, status::kInvalidOpcode.with_dnr());
}

void Queue::disconnect(Command& command) {
  const auto& sqe = reinterpret_cast<const fabrics::DisconnectSqe&>(command.sqe);
  if (is_admin()) return complete(command, status::kInvalidQueueType.with_dnr());
  if (sqe.recfmt != 0) return complete(command, status::kConnectIncompatibleFormat.with_dnr());
  ops_.stop_receiving();
  disconnect_ = &command;  // completed last, by free() of the last other command
  is_ending_ = true;
  if (slots_.taken() == 1) finish_disconnect();
}

void Queue::finish_disconnect() {
  complete(*std::exchange(disconnect_, nullptr), status::kSuccess);
  close(CloseReason::kDisconnect);
}

// --- a command goes out ---------------------------------------------------------------------------------------------------------------------

inline void Queue::free(Command& command) {
  let_go(command);
  slots_.free(command);
  if (is_ending_) one_less(command);
}

void Queue::responded(Command& command) {
  WEFT_ASSERT(command.state == CommandState::kResponding);
  if (command.view != nullptr) {  // timed out: its Io is still in the device
    WEFT_PROBE("nvmf/quarantine-after-response");
    slots_.quarantine(command);
    return;
  }
  release_buffers(command);
  free(command);
}

void Queue::complete(Command& command, nvme::Status why, uint64_t result) {
  owner_.check();
  WEFT_ASSERT(command.queue == this);
  if (command.holds_freeze) thaw(command);  // first: once it has left the view, the namespace may go
  if (command.view != nullptr) command.view->leave(command);
  if (&command == fused_first_ || command.partner != nullptr) leave_pair(command);
  command.status = why;
  command.result = result;
  // Only a response needs a buffer after this; the host's data has been used. Without a connection, nobody is left to send the data of a read to.
  if (command.response_data.empty() || !why.ok() || state_ == QueueState::kDetached) release_buffers(command);
  if (state_ == QueueState::kDetached) return free(command);
  if (!why.ok()) log_error(command);
  if (!is_admin() && !command.buffer.empty() && WEFT_PLANTED("buffer-freed-early")) shard_.buffers().free(command.share, std::exchange(command.buffer, {}));
  answer(command);
}

nvme::Cqe Queue::make_cqe(const Command& command) {
  nvme::Cqe cqe{};
  cqe.dw0 = uint32_t(command.result);
  cqe.dw1 = uint32_t(command.result >> 32);
  if (!is_sq_flow_control_disabled_) {
    if (!WEFT_PLANTED("sqhd-stuck")) sqhd_ = slots_.size() > 0 ? uint16_t((sqhd_ + 1) % slots_.size()) : 0;
    cqe.sqhd = sqhd_;
  } else if (command.sqe.opcode == nvme::kFabricsOpcode &&
             fabrics::Fctype(command.sqe.fctype()) == fabrics::Fctype::kConnect) {
    cqe.sqhd = 0xffff;  // flow control is off: NVMe Base 2.0 §6.3
  }
  cqe.sqid = qid_;
  cqe.cid = command.cid();
  cqe.status = command.status.to_cqe();
  if (WEFT_PLANTED("phase-bit-set")) cqe.status = cqe.status | 1;
  return cqe;
}

void Queue::free_buffers(Command& command) {
  if (!command.buffer.empty()) shard_.buffers().free(command.share, std::exchange(command.buffer, {}));
  if (!command.scratch.empty()) shard_.buffers().free(Share::kScratch, std::exchange(command.scratch, {}));
}

/// Half of a fused pair is over before it was executed, or as the first of the two without success.
void Queue::leave_pair(Command& command) {
  if (&command == fused_first_) {
    fused_first_ = nullptr;
    fused_ = Fused::kFirstFailed;
  }
  if (Command* other = std::exchange(command.partner, nullptr)) {
    WEFT_PROBE("nvmf/fused-half-fails-the-other");
    other->partner = nullptr;
    doom(*other, status::kAbortedFailedFused.with_dnr());
  }
}

/// `freed` is gone, and that may be what the end of the queue has waited for.
void Queue::one_less(const Command& freed) {
  if (&freed == disconnect_) disconnect_ = nullptr;
  if (state_ == QueueState::kDetached) return come_home();
  if (disconnect_ != nullptr && slots_.taken() == 1) finish_disconnect();
}

/// Lets a command go that is not in a device, without a completion.
void Queue::drop(Command& command) {
  if (command.holds_freeze) thaw(command);
  if (Command* other = std::exchange(command.partner, nullptr)) other->partner = nullptr;
  release_buffers(command);
  let_go(command);
  slots_.free(command);
}

}  // namespace weft::nvmf
