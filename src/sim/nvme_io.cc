// The NVM commands of the simulated controller: found in the host's memory, done by a disk, one step after the other.
#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "sim/nvme_device.h"
#include "sim/nvme_function.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace weft::sim {
namespace {

namespace status = nvme::status;
using nvme::IoOpcode;

constexpr std::byte kPoison{0xa7};
constexpr size_t kAlignment = 4096;

bool is_a(IoOpcode opcode, const nvme::Sqe& sqe) { return IoOpcode(sqe.opcode) == opcode; }
bool reads(const nvme::Sqe& sqe) { return is_a(IoOpcode::kRead, sqe); }
/// Its data comes from the host.
bool fetches(const nvme::Sqe& sqe) { return is_a(IoOpcode::kWrite, sqe) || is_a(IoOpcode::kCompare, sqe); }

bool moves_data(media::Kind kind) { return kind == media::Kind::kRead || kind == media::Kind::kWrite || kind == media::Kind::kWriteStable; }

nvme::Status status_of(media::Kind kind, int error_number) {
  if (error_number == ENOSPC) return status::kCapacityExceeded.with_dnr();
  return (kind == media::Kind::kRead ? status::kUnrecoveredReadError : status::kWriteFault).with_dnr();
}

/// 2^n pages at most; 0: as many as one likes.
uint8_t limit_of(const nvme::Sqe& sqe, const NvmeShape& shape) {
  switch (IoOpcode(sqe.opcode)) {
    case IoOpcode::kRead:
    case IoOpcode::kWrite:
    case IoOpcode::kCompare:
      return shape.mdts;
    case IoOpcode::kWriteZeroes:
      return shape.wzsl;
    case IoOpcode::kVerify:
      return shape.vsl;
    case IoOpcode::kFlush:
    case IoOpcode::kDatasetManagement:
    case IoOpcode::kCopy:
      break;
  }
  return 0;
}

}  // namespace

void NvmeDevice::execute_io(Command& command) {
  if (const Refused refused = prepare(command)) return complete_later(command, *refused);
  if (reads(command.sqe)) poison_host(command);
  if (fetches(command.sqe)) take_host_data(command);
  if (command.steps.empty()) return complete_later(command, status::kSuccess);
  start_step(command);
}

/// Finds the data and says what the disk has to do.
NvmeDevice::Refused NvmeDevice::prepare(Command& command) {
  const nvme::Sqe& sqe = command.sqe;
  if (!is_attached(sqe.nsid)) return status::kInvalidNamespace.with_dnr();
  const NvmeNamespace& ns = namespaces_[sqe.nsid - 1];
  command.namespace_index = sqe.nsid - 1;
  const bool is_stable = (sqe.cdw12 & nvme::kCdw12Fua) != 0;
  switch (IoOpcode(sqe.opcode)) {
    case IoOpcode::kFlush:
      command.steps.push_back({.kind = media::Kind::kSync});
      return std::nullopt;
    case IoOpcode::kRead:
      return prepare_range(command, ns, sqe.slba(), sqe.block_count(), media::Kind::kRead);
    case IoOpcode::kWrite:
      return prepare_range(command, ns, sqe.slba(), sqe.block_count(), is_stable ? media::Kind::kWriteStable : media::Kind::kWrite);
    case IoOpcode::kWriteZeroes: {
      if (!shape_.has_write_zeroes) break;
      const bool deallocates = (sqe.cdw12 & nvme::kCdw12Deallocate) != 0;
      if (is_stable) command.steps.push_back({.kind = media::Kind::kSync});
      return prepare_range(command, ns, sqe.slba(), sqe.block_count(), deallocates ? media::Kind::kZeroDeallocate : media::Kind::kZero);
    }
    case IoOpcode::kDatasetManagement:
      if (!shape_.has_deallocate) break;
      return prepare_deallocate(command, ns);
    case IoOpcode::kCompare:
      if (!shape_.has_compare) break;
      return prepare_range(command, ns, sqe.slba(), sqe.block_count(), media::Kind::kRead);
    case IoOpcode::kVerify:
      if (!shape_.has_verify) break;
      return prepare_range(command, ns, sqe.slba(), sqe.block_count(), media::Kind::kRead);
    case IoOpcode::kCopy:
      if (!shape_.has_copy) break;
      return prepare_copy(command, ns);
  }
  return status::kInvalidOpcode.with_dnr();
}

NvmeDevice::Refused NvmeDevice::prepare_range(Command& command, const NvmeNamespace& ns, uint64_t block, uint64_t count, media::Kind kind) {
  if (block + count > ns.block_count) return status::kLbaOutOfRange.with_dnr();
  const uint64_t bytes = count * ns.block_size;
  const uint8_t limit = limit_of(command.sqe, shape_);
  if (limit != 0 && bytes > uint64_t{nvme::kPageBytes} << limit) return status::kInvalidField.with_dnr();
  if ((reads(command.sqe) || fetches(command.sqe)) && !find_data(command, bytes)) return status::kDataTransferError.with_dnr();
  if (is_a(IoOpcode::kVerify, command.sqe)) make_room(command, bytes);
  command.steps.push_back({.kind = kind, .offset = block * ns.block_size, .length = uint32_t(bytes)});
  return std::nullopt;
}

NvmeDevice::Refused NvmeDevice::prepare_deallocate(Command& command, const NvmeNamespace& ns) {
  const size_t count = (command.sqe.cdw10 & 0xff) + 1;
  const auto bytes = seen_ranges(command, count * sizeof(nvme::DsmRange));
  if (bytes.empty()) return status::kDataTransferError.with_dnr();
  for (size_t i = 0; i < count; ++i) {
    const nvme::DsmRange range = *view<nvme::DsmRange>(bytes.subspan(i * sizeof(nvme::DsmRange)));
    if (range.length_blocks == 0) continue;
    if (const Refused refused = prepare_range(command, ns, range.slba, range.length_blocks, media::Kind::kDiscard)) return refused;
  }
  return std::nullopt;
}

/// Each range is read, and then written behind the one before.
NvmeDevice::Refused NvmeDevice::prepare_copy(Command& command, const NvmeNamespace& ns) {
  const nvme::Sqe& sqe = command.sqe;
  const size_t count = (sqe.cdw12 & 0xff) + 1;
  if (bits<11, 8>(uint32_t{sqe.cdw12}) != 0) return status::kInvalidField.with_dnr();
  if (count > size_t{shape_.msrc} + 1) return status::kCommandSizeLimitExceeded.with_dnr();
  const auto bytes = seen_ranges(command, count * sizeof(nvme::CopyRange));
  if (bytes.empty()) return status::kDataTransferError.with_dnr();
  const auto kind = (sqe.cdw12 & nvme::kCdw12Fua) != 0 ? media::Kind::kWriteStable : media::Kind::kWrite;
  uint64_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    const nvme::CopyRange range = *view<nvme::CopyRange>(bytes.subspan(i * sizeof(nvme::CopyRange)));
    const uint64_t blocks = uint64_t{range.nlb} + 1;
    if (blocks > shape_.mssrl) return status::kCommandSizeLimitExceeded.with_dnr();
    if (range.slba + blocks > ns.block_count) return status::kLbaOutOfRange.with_dnr();
    const auto length = uint32_t(blocks * ns.block_size);
    command.steps.push_back({.kind = media::Kind::kRead, .offset = range.slba * ns.block_size, .length = length});
    command.steps.push_back({.kind = kind, .offset = (sqe.slba() + total) * ns.block_size, .length = length});
    total += blocks;
  }
  if (total > shape_.mcl) return status::kCommandSizeLimitExceeded.with_dnr();
  if (sqe.slba() + total > ns.block_count) return status::kLbaOutOfRange.with_dnr();
  std::ranges::reverse(command.steps);
  make_room(command, uint64_t{shape_.mssrl} * ns.block_size);
  return std::nullopt;
}

/// What the host has at PRP1 of a command that names several ranges. Empty: nothing is mapped there.
std::span<const std::byte> NvmeDevice::seen_ranges(const Command& command, size_t size) {
  const uint64_t iova = nvme::prps_of(command.sqe).prp1;
  const auto bytes = seen(iova, size);
  if (!std::ranges::equal(bytes, function_->memory(iova, bytes.size()))) fail("nvme-queue", "the ranges of a command were not published");
  return bytes;
}

// --- data --------------------------------------------------------------------------------------------------------------

bool NvmeDevice::find_data(Command& command, uint64_t bytes) {
  const nvme::Sqe& sqe = command.sqe;
  if (sqe.psdt() == nvme::Psdt::kPrp) {
    if (!add_prps(command, bytes)) return false;
  } else if (!shape_.has_sgls || sqe.sgl.type != nvme::kSglDataBlock || sqe.sgl.length != bytes) {
    fail("nvme-prp", fmt::format("a data block of {} bytes for a command of {}", uint32_t{sqe.sgl.length}, bytes));
    return false;
  } else {
    add_piece(command, sqe.sgl.address, bytes);
  }
  make_room(command, bytes);
  return !world_.referee.finding();
}

void NvmeDevice::make_room(Command& command, uint64_t bytes) {
  command.storage.resize(bytes + kAlignment);
  const auto address = reinterpret_cast<uintptr_t>(command.storage.data());
  command.data = std::span(command.storage).subspan((kAlignment - address % kAlignment) % kAlignment, bytes);
}

void NvmeDevice::add_piece(Command& command, uint64_t iova, uint64_t bytes) {
  const auto memory = function_->memory(iova, bytes);
  if (memory.empty()) return fail("nvme-dma", fmt::format("{} bytes of data at {:#x}, which are not mapped", bytes, iova));
  command.host.push_back(memory);
}

/// §4.1.1: PRP1 may begin in a page, everything after it is whole pages; a list where two do not suffice.
bool NvmeDevice::add_prps(Command& command, uint64_t bytes) {
  const auto [prp1, prp2] = nvme::prps_of(command.sqe);
  const auto refuse = [&](std::string_view why, uint64_t value) {
    fail("nvme-prp", fmt::format("{} {:#x} for {} bytes", why, value, bytes));
    return false;
  };
  if (prp1 % 4 != 0) return refuse("PRP1", prp1);
  const uint64_t first = std::min<uint64_t>(bytes, nvme::kPageBytes - prp1 % nvme::kPageBytes);
  add_piece(command, prp1, first);
  uint64_t left = bytes - first;
  if (left == 0) return true;
  if (left <= nvme::kPageBytes) {
    if (prp2 % nvme::kPageBytes != 0) return refuse("PRP2", prp2);
    add_piece(command, prp2, left);
    return true;
  }
  const uint64_t entries = (left + nvme::kPageBytes - 1) / nvme::kPageBytes;
  if (prp2 % 8 != 0 || prp2 % nvme::kPageBytes + entries * sizeof(le64) > nvme::kPageBytes) return refuse("a list at PRP2", prp2);
  const auto list = seen(prp2, entries * sizeof(le64));
  if (list.empty()) return false;
  if (!std::ranges::equal(list, function_->memory(prp2, list.size()))) fail("nvme-queue", "a PRP list was not published");
  for (uint64_t i = 0; i < entries; ++i) {
    const uint64_t page = load_le64(list.data() + i * sizeof(le64));
    if (page % nvme::kPageBytes != 0) return refuse("a PRP entry", page);
    add_piece(command, page, std::min<uint64_t>(left, nvme::kPageBytes));
    left -= std::min<uint64_t>(left, nvme::kPageBytes);
  }
  return true;
}

void NvmeDevice::take_host_data(Command& command) {
  size_t offset = 0;
  for (const auto piece : command.host) {
    std::ranges::copy(piece, command.data.begin() + ptrdiff_t(offset));
    offset += piece.size();
  }
  if (is_a(IoOpcode::kCompare, command.sqe)) command.compared.assign(command.data.begin(), command.data.end());
}

std::span<const std::byte> NvmeDevice::fetched(const Command& command) {
  return is_a(IoOpcode::kCompare, command.sqe) ? std::span<const std::byte>{command.compared} : command.data;
}

/// Who looks at the memory of a read before its completion sees no data.
void NvmeDevice::poison_host(Command& command) {
  for (const auto piece : command.host) std::ranges::fill(piece, kPoison);
}

/// The memory of a write or compare holds what was fetched; that of a read, what the controller put there.
void NvmeDevice::check_host(const Command& command, std::string_view when) {
  size_t offset = 0;
  for (const auto piece : command.host) {
    const bool is_kept = reads(command.sqe) ? std::ranges::all_of(piece, [](std::byte byte) { return byte == kPoison; })
                                            : std::ranges::equal(piece, fetched(command).subspan(offset, piece.size()));
    if (!is_kept) fail("buffer-ownership", fmt::format("the memory of a {} has changed {}", reads(command.sqe) ? "read" : "write", when));
    offset += piece.size();
  }
}

void NvmeDevice::land(const Command& command) {
  size_t offset = 0;
  for (const auto piece : command.host) {
    std::ranges::copy(command.data.subspan(offset, piece.size()), piece.begin());
    offset += piece.size();
  }
}

// --- steps -------------------------------------------------------------------------------------------------------------

void NvmeDevice::start_step(Command& command) {
  Disk& disk = *namespaces_[command.namespace_index].disk;
  const Step& step = command.steps.back();
  command.operation.owner = &owner_;
  command.operation.kind = step.kind;
  command.operation.offset = step.offset;
  command.operation.length = step.length;
  command.operation.data = command.data.data();
  command.number = disk.submit(*ports_[command.namespace_index], command.operation, removals_[command.namespace_index]);
  disk.start(command.number);
}

NvmeDevice::Command* NvmeDevice::find(size_t namespace_index, Writer number) {
  for (auto& [key, command] : commands_) {
    if (command->namespace_index == namespace_index && command->number == number) return command.get();
  }
  return nullptr;
}

/// Called by a disk in the middle of its own work.
void NvmeDevice::on_ready(size_t namespace_index, Writer number) {
  after({}, [this, namespace_index, number] {
    Command* command = find(namespace_index, number);
    if (command == nullptr) return;
    const auto done = namespaces_[namespace_index].disk->take(number);
    command->number = 0;
    step_done(*command, done.result);
  });
}

void NvmeDevice::step_done(Command& command, int32_t result) {
  const media::Operation& operation = command.operation;
  if (result < 0) return complete_later(command, status_of(operation.kind, -result));
  const bool is_short = moves_data(operation.kind) && uint32_t(result) < operation.length;
  WEFT_ASSERT(!is_short);  // a disk under a controller transfers whole commands
  command.steps.pop_back();
  if (!command.steps.empty()) return start_step(command);
  check_host(command, "before its end");
  if (reads(command.sqe)) land(command);
  const bool is_different = is_a(IoOpcode::kCompare, command.sqe) && !std::ranges::equal(command.compared, command.data);
  complete_later(command, is_different ? status::kCompareFailure.with_dnr() : status::kSuccess);
}

}  // namespace weft::sim
