// Dumps of commands, completions and what they carry.
#include "base/bytes.h"
#include "wire/print.h"
#include "wire/print_lines.h"
#include "wire/print_pcie.h"

#include <fmt/format.h>

namespace weft::nvme {
namespace {

/// The fields that every command has, after its name.
std::string fields_of(const Sqe& sqe) {
  std::string out = fmt::format("cid {:#06x} nsid {:#x} psdt {}", sqe.cid, sqe.nsid, int(sqe.psdt()));
  if (sqe.fuse() != Fuse::kNone) fmt::format_to(std::back_inserter(out), " fuse {}", int(sqe.fuse()));
  const std::string data = sqe.psdt() == Psdt::kPrp ? to_text(prps_of(sqe)) : fmt::format("sgl [{}]", to_text(sqe.sgl));
  fmt::format_to(std::back_inserter(out), " {} cdw10 {:08x} {:08x} {:08x} {:08x} {:08x} {:08x}", data, sqe.cdw10,
                 sqe.cdw11, sqe.cdw12, sqe.cdw13, sqe.cdw14, sqe.cdw15);
  return out;
}

std::string fabrics_to_text(const Sqe& sqe) {
  const auto bytes = bytes_of(sqe);
  switch (fabrics::Fctype(sqe.fctype())) {
    case fabrics::Fctype::kConnect:
      return to_text(*view<fabrics::ConnectSqe>(bytes));
    case fabrics::Fctype::kPropertyGet:
    case fabrics::Fctype::kPropertySet:
      return to_text(*view<fabrics::PropertySqe>(bytes));
    case fabrics::Fctype::kDisconnect:
      return to_text(*view<fabrics::DisconnectSqe>(bytes));
    case fabrics::Fctype::kAuthenticationSend:
    case fabrics::Fctype::kAuthenticationReceive:
      break;
  }
  return fmt::format("{} (fctype {:02x}h) {}", name_of(fabrics::Fctype(sqe.fctype())), sqe.fctype(), fields_of(sqe));
}

}  // namespace

std::string_view name_of(AdminOpcode opcode) {
  if (opcode == kDoorbellBufferConfig) return "Doorbell Buffer Config";
  switch (opcode) {
    case AdminOpcode::kDeleteIoSq:
      return "Delete I/O Submission Queue";
    case AdminOpcode::kCreateIoSq:
      return "Create I/O Submission Queue";
    case AdminOpcode::kGetLogPage:
      return "Get Log Page";
    case AdminOpcode::kDeleteIoCq:
      return "Delete I/O Completion Queue";
    case AdminOpcode::kCreateIoCq:
      return "Create I/O Completion Queue";
    case AdminOpcode::kIdentify:
      return "Identify";
    case AdminOpcode::kAbort:
      return "Abort";
    case AdminOpcode::kSetFeatures:
      return "Set Features";
    case AdminOpcode::kGetFeatures:
      return "Get Features";
    case AdminOpcode::kAsyncEventRequest:
      return "Asynchronous Event Request";
    case AdminOpcode::kKeepAlive:
      return "Keep Alive";
  }
  return "Unknown";
}

std::string_view name_of(IoOpcode opcode) {
  switch (opcode) {
    case IoOpcode::kFlush:
      return "Flush";
    case IoOpcode::kWrite:
      return "Write";
    case IoOpcode::kRead:
      return "Read";
    case IoOpcode::kCompare:
      return "Compare";
    case IoOpcode::kWriteZeroes:
      return "Write Zeroes";
    case IoOpcode::kDatasetManagement:
      return "Dataset Management";
    case IoOpcode::kVerify:
      return "Verify";
    case IoOpcode::kCopy:
      return "Copy";
  }
  return "Unknown";
}

std::string to_text(Status status) {
  return fmt::format("{}/{:02x}h {}{}{}", int(status.sct()), status.sc(), name_of(status), status.more() ? " M" : "",
                     status.dnr() ? " DNR" : "");
}

std::string to_text(const SglDescriptor& sgl) {
  switch (sgl.type) {
    case kSglDataBlock:
      return fmt::format("data address {:#x} length {}", sgl.address, sgl.length);
    case SglDescriptor::kDataBlockOffset:
      return fmt::format("in-capsule offset {:#x} length {}", sgl.address, sgl.length);
    case SglDescriptor::kTransportDataBlock:
      return fmt::format("transport length {}", sgl.length);
    case SglDescriptor::kLastSegmentOffset:
      return fmt::format("segment offset {:#x} length {}", sgl.address, sgl.length);
    case SglDescriptor::kKeyedDataBlock:
    case SglDescriptor::kKeyedDataBlockInvalidate: {
      // | address 8 | length 3 | key 4 | type 1 |
      const std::byte* bytes = bytes_of(sgl).data();
      const uint32_t length = load_le32(bytes + 8) & 0xffffff;
      const bool invalidate = sgl.type == SglDescriptor::kKeyedDataBlockInvalidate;
      return fmt::format("keyed address {:#x} length {} key {:#010x}{}", sgl.address, length, load_le32(bytes + 11),
                         invalidate ? " invalidate" : "");
    }
  }
  return fmt::format("type {:02x}h address {:#x} length {}", sgl.type, sgl.address, sgl.length);
}

std::string to_text(const Sqe& sqe) {
  if (sqe.opcode == kFabricsOpcode) return fabrics_to_text(sqe);
  return fmt::format("opcode {:02x}h {}", sqe.opcode, fields_of(sqe));
}

std::string to_text(const Sqe& sqe, uint16_t qid) {
  if (sqe.opcode == kFabricsOpcode) return fabrics_to_text(sqe);
  const auto name = qid == 0 ? name_of(AdminOpcode(sqe.opcode)) : name_of(IoOpcode(sqe.opcode));
  return fmt::format("{} ({:02x}h) {}", name, sqe.opcode, fields_of(sqe));
}

std::string to_text(const Cqe& cqe) {
  return fmt::format("cid {:#06x} sqid {} sqhd {} dw0 {:#010x} dw1 {:#010x} status {}", cqe.cid, cqe.sqid, cqe.sqhd,
                     cqe.dw0, cqe.dw1, to_text(cqe.decoded_status()));
}

std::string to_text(const DsmRange& range) {
  return fmt::format("slba {} blocks {} attributes {:#010x}", range.slba, range.length_blocks, range.attributes);
}

std::string to_text(const CopyRange& range) {
  return fmt::format("slba {} blocks {}", range.slba, uint32_t{range.nlb} + 1);
}

}  // namespace weft::nvme
