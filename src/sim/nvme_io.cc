// The NVM commands of the simulated controller: found in the host's memory, done by a disk, one step after the other.
#include "base/assert.h"
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

bool reads(const nvme::Sqe& sqe) { return IoOpcode(sqe.opcode) == IoOpcode::kRead; }
bool writes(const nvme::Sqe& sqe) { return IoOpcode(sqe.opcode) == IoOpcode::kWrite; }

nvme::Status status_of(const nvme::Sqe& sqe, int error_number) {
  if (error_number == ENOSPC) return status::kCapacityExceeded.with_dnr();
  return (reads(sqe) ? status::kUnrecoveredReadError : status::kWriteFault).with_dnr();
}

}  // namespace

void NvmeDevice::execute_io(Command& command) {
  if (const Refused refused = prepare(command)) return complete_later(command, *refused);
  if (reads(command.sqe)) poison_host(command);
  if (writes(command.sqe)) take_host_data(command);
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
    case IoOpcode::kVerify:
    case IoOpcode::kCopy:
      break;
  }
  return status::kInvalidOpcode.with_dnr();
}

NvmeDevice::Refused NvmeDevice::prepare_range(Command& command, const NvmeNamespace& ns, uint64_t block, uint64_t count, media::Kind kind) {
  if (block + count > ns.block_count) return status::kLbaOutOfRange.with_dnr();
  const uint64_t bytes = count * ns.block_size;
  const bool is_zeroing = kind == media::Kind::kZero || kind == media::Kind::kZeroDeallocate;
  const uint8_t limit = is_zeroing ? shape_.wzsl : kind == media::Kind::kDiscard ? uint8_t{0} : shape_.mdts;
  if (limit != 0 && bytes > uint64_t{nvme::kPageBytes} << limit) return status::kInvalidField.with_dnr();
  if ((reads(command.sqe) || writes(command.sqe)) && !find_data(command, bytes)) return status::kDataTransferError.with_dnr();
  command.steps.push_back({.kind = kind, .offset = block * ns.block_size, .length = uint32_t(bytes)});
  return std::nullopt;
}

NvmeDevice::Refused NvmeDevice::prepare_deallocate(Command& command, const NvmeNamespace& ns) {
  const size_t count = (command.sqe.cdw10 & 0xff) + 1;
  const uint64_t iova = nvme::prps_of(command.sqe).prp1;
  const auto bytes = seen(iova, count * sizeof(nvme::DsmRange));
  if (bytes.empty()) return status::kDataTransferError.with_dnr();
  if (!std::ranges::equal(bytes, function_->memory(iova, bytes.size()))) {
    fail("nvme-queue", "the ranges of a Dataset Management were not published");
  }
  for (size_t i = 0; i < count; ++i) {
    const nvme::DsmRange range = *view<nvme::DsmRange>(bytes.subspan(i * sizeof(nvme::DsmRange)));
    if (range.length_blocks == 0) continue;
    if (const Refused refused = prepare_range(command, ns, range.slba, range.length_blocks, media::Kind::kDiscard)) return refused;
  }
  return std::nullopt;
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
  command.storage.resize(bytes + kAlignment);
  const auto address = reinterpret_cast<uintptr_t>(command.storage.data());
  command.data = std::span(command.storage).subspan((kAlignment - address % kAlignment) % kAlignment, bytes);
  return !world_.referee.finding();
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
}

/// Who looks at the memory of a read before its completion sees no data.
void NvmeDevice::poison_host(Command& command) {
  for (const auto piece : command.host) std::ranges::fill(piece, kPoison);
}

/// The memory of a write holds what was fetched; that of a read, what the controller put there.
void NvmeDevice::check_host(const Command& command, std::string_view when) {
  size_t offset = 0;
  for (const auto piece : command.host) {
    const bool is_kept = reads(command.sqe) ? std::ranges::all_of(piece, [](std::byte byte) { return byte == kPoison; })
                                            : std::ranges::equal(piece, command.data.subspan(offset, piece.size()));
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
  if (result < 0) return complete_later(command, status_of(command.sqe, -result));
  const bool is_short = (reads(command.sqe) || writes(command.sqe)) && uint32_t(result) < command.operation.length;
  WEFT_ASSERT(!is_short);  // a disk under a controller transfers whole commands
  command.steps.pop_back();
  if (!command.steps.empty()) return start_step(command);
  check_host(command, "before its end");
  if (reads(command.sqe)) land(command);
  complete_later(command, status::kSuccess);
}

}  // namespace weft::sim
