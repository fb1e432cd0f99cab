#include "platform/linux/nvme_commands.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace weft::platform {
namespace {

using media::Kind;
using nvme::IoOpcode;

constexpr size_t kBigEntryBytes = 128;     // of IORING_SETUP_SQE128
constexpr uint64_t kNlbMax = uint64_t{1} << 16;
static_assert(offsetof(io_uring_sqe, cmd) + sizeof(nvme_uring_cmd) <= kBigEntryBytes);

/// Whether the owner goes on in another way when there is no such command.
bool is_optional(Kind kind) { return kind == Kind::kZero || kind == Kind::kZeroDeallocate || kind == Kind::kDiscard; }

bool moves_data(Kind kind) { return kind == Kind::kRead || kind == Kind::kWrite || kind == Kind::kWriteStable; }

IoOpcode opcode_of(Kind kind, const CommandedNamespace& ns) {
  switch (kind) {
    case Kind::kRead: return IoOpcode::kRead;
    case Kind::kWrite:
    case Kind::kWriteStable: return IoOpcode::kWrite;
    case Kind::kSync: return IoOpcode::kFlush;
    case Kind::kZero:
    case Kind::kZeroDeallocate: return IoOpcode::kWriteZeroes;
    // Dataset Management is a hint: blocks that it leaves alone do not read as zeroes.
    case Kind::kDiscard: return ns.zeroing_deallocates ? IoOpcode::kWriteZeroes : IoOpcode::kDatasetManagement;
  }
  WEFT_ASSERT(false);
  return IoOpcode::kFlush;
}

/// CDW12 beside the number of blocks.
uint32_t flags_of(Kind kind, const CommandedNamespace& ns) {
  if (kind == Kind::kWriteStable) return nvme::kCdw12Fua;
  const bool deallocates = kind == Kind::kDiscard || kind == Kind::kZeroDeallocate;
  return deallocates && ns.zeroing_deallocates ? nvme::kCdw12Deallocate : 0;
}

/// Of what the kernel says by itself: nothing of it is about the medium, since the device has its own words for that.
CommandOutcome kernel_outcome(Kind kind, int error_number) {
  switch (error_number) {
    case EAGAIN:
    case ENOMEM: return {-error_number, {}};
    case EACCES:
    case EPERM:  // a command that this user may not send, as was found out at open for those that a namespace cannot do without
      if (is_optional(kind)) return {-EOPNOTSUPP, {}};
      return {-EIO, nvme::status::kInternalError.with_dnr()};
    // EINTR: the command was given up with the controller, and may have been done; ENODEV, EINVAL: there is no way to the device; and what else there is.
    default: return {-EIO, nvme::status::kInternalPathError};
  }
}

}  // namespace

bool takes_range(Kind kind, const CommandedNamespace& ns) { return opcode_of(kind, ns) == IoOpcode::kDatasetManagement; }

nvme::DsmRange range_of(const media::Operation& operation, const CommandedNamespace& ns) {
  return {.attributes = 0, .length_blocks = operation.length / ns.block_size, .slba = operation.offset / ns.block_size};
}

nvme_uring_cmd command_of(const media::Operation& operation, const CommandedNamespace& ns, const nvme::DsmRange* range) {
  nvme_uring_cmd command{};
  const IoOpcode opcode = opcode_of(operation.kind, ns);
  command.opcode = uint8_t(opcode);
  command.nsid = ns.nsid;
  if (opcode == IoOpcode::kFlush) return command;
  WEFT_ASSERT(operation.length > 0 && operation.length % ns.block_size == 0 && operation.offset % ns.block_size == 0);
  if (opcode == IoOpcode::kDatasetManagement) {
    command.addr = reinterpret_cast<uintptr_t>(range);
    command.data_len = sizeof *range;
    command.cdw11 = nvme::kDsmDeallocate;  // and CDW10 NR 0: one range
    return command;
  }
  const uint64_t block = operation.offset / ns.block_size;
  const uint32_t blocks = operation.length / ns.block_size;
  WEFT_ASSERT(blocks <= kNlbMax);
  command.cdw10 = uint32_t(block);
  command.cdw11 = uint32_t(block >> 32);
  command.cdw12 = (blocks - 1) | flags_of(operation.kind, ns);
  if (moves_data(operation.kind)) {
    command.addr = reinterpret_cast<uintptr_t>(operation.data);
    command.data_len = operation.length;
  }
  return command;
}

CommandOutcome outcome_of(Kind kind, uint32_t length, int32_t result) {
  if (result == 0) return {moves_data(kind) ? int32_t(length) : 0, {}};
  if (result < 0) return kernel_outcome(kind, -result);
  const auto status = nvme::Status::from_cqe(uint16_t(result << 1));
  if (status.is(nvme::status::kInvalidOpcode) && is_optional(kind)) return {-EOPNOTSUPP, {}};
  return {-EIO, status};
}

NvmeCommands::NvmeCommands() {
  for (size_t i = 0; i < kRanges; ++i) ranges_free_[i] = &ranges_[i];
}

int32_t NvmeCommands::add(const CommandedNamespace& ns) {
  auto free = std::ranges::find(namespaces_, nullptr);
  if (free == namespaces_.end()) free = namespaces_.insert(free, nullptr);
  *free = &ns;
  return int32_t(free - namespaces_.begin());
}

void NvmeCommands::remove(int32_t handle) {
  WEFT_ASSERT(namespaces_[size_t(handle)] != nullptr);
  namespaces_[size_t(handle)] = nullptr;
}

const CommandedNamespace& NvmeCommands::ns_of(const media::Operation& operation) const {
  const CommandedNamespace* ns = namespaces_[size_t(operation.handle)];
  WEFT_ASSERT(ns != nullptr);
  return *ns;
}

bool NvmeCommands::has_room_for(const media::Operation& operation) const {
  return ranges_free_count_ > 0 || !takes_range(operation.kind, ns_of(operation));
}

void NvmeCommands::prepare(io_uring_sqe& sqe, media::Operation& operation) {
  const CommandedNamespace& ns = ns_of(operation);
  nvme::DsmRange* range = nullptr;
  if (takes_range(operation.kind, ns)) {
    WEFT_ASSERT(ranges_free_count_ > 0);
    range = ranges_free_[--ranges_free_count_];
    *range = range_of(operation, ns);
    operation.data = reinterpret_cast<std::byte*>(range);  // which the kind has no other use for: finish() finds it there
  }
  const nvme_uring_cmd command = command_of(operation, ns, range);
  // The structure is the first half of the entry only.
  auto* entry = reinterpret_cast<std::byte*>(&sqe);
  std::memset(entry, 0, kBigEntryBytes);
  sqe.opcode = IORING_OP_URING_CMD;
  sqe.fd = ns.fd;
  sqe.cmd_op = NVME_URING_CMD_IO;
  std::memcpy(entry + offsetof(io_uring_sqe, cmd), &command, sizeof command);
}

int32_t NvmeCommands::finish(media::Operation& operation, int32_t result) {
  if (takes_range(operation.kind, ns_of(operation))) ranges_free_[ranges_free_count_++] = reinterpret_cast<nvme::DsmRange*>(operation.data);
  const CommandOutcome outcome = outcome_of(operation.kind, operation.length, result);
  operation.status = outcome.status;
  return outcome.result;
}

}  // namespace weft::platform
