#include "nvmf/admission.h"

#include "nvmf/features.h"
#include "nvmf/fused.h"
#include "nvmf/io_limits.h"
#include "wire/fabrics/connect.h"
#include "wire/nvme/log_pages.h"

namespace weft::nvmf {
namespace {

using nvme::AdminOpcode;
using nvme::DataDirection;
using nvme::IoOpcode;
namespace status = nvme::status;

Admission refuse(nvme::Status why) { return {.status = why.with_dnr()}; }

Admission exactly(DataDirection direction, uint64_t length, const Limits& limits) {
  if (length > limits.data_transfer_bytes) return refuse(status::kInvalidField);
  return {.direction = direction, .length_min = uint32_t(length), .length_max = uint32_t(length)};
}

Admission at_least(DataDirection direction, uint64_t length, const Limits& limits) {
  if (length > limits.data_transfer_bytes) return refuse(status::kInvalidField);
  return {.direction = direction, .length_min = uint32_t(length), .length_max = limits.data_transfer_bytes};
}

constexpr uint32_t kFeatureDataMax = 4096;  // bytes that a Set Features may bring

static_assert(kWriteZeroesBytesMax == kVerifyBytesMax);
constexpr uint64_t kBlocksOnlyBytesMax = kVerifyBytesMax;

/// Compare and Write, fused, have a limit of their own: ACWU.
bool is_fused_too_large(const nvme::Sqe& sqe) {
  return sqe.fuse() != nvme::Fuse::kNone && sqe.block_count() > kFusedBlocksMax;
}

}  // namespace

bool is_write(const nvme::Sqe& sqe) {
  switch (IoOpcode(sqe.opcode)) {
    case IoOpcode::kWrite:
    case IoOpcode::kWriteZeroes:
    case IoOpcode::kDatasetManagement:
    case IoOpcode::kCopy: return true;
    case IoOpcode::kFlush:
    case IoOpcode::kRead:
    case IoOpcode::kCompare:
    case IoOpcode::kVerify: return false;
  }
  return false;  // unknown opcodes never get here
}

BlockRange range_of(const nvme::Sqe& sqe, const bdev::Info& info) {
  switch (IoOpcode(sqe.opcode)) {
    case IoOpcode::kFlush: return {};
    case IoOpcode::kDatasetManagement:
    case IoOpcode::kCopy: return {0, info.block_count};
    case IoOpcode::kWrite:
    case IoOpcode::kRead:
    case IoOpcode::kCompare:
    case IoOpcode::kWriteZeroes:
    case IoOpcode::kVerify: return {sqe.slba(), sqe.block_count()};
  }
  return {};
}

Admission admit_io(const nvme::Sqe& sqe, const bdev::Info& info, const Limits& limits) {
  const bool is_fused = sqe.fuse() != nvme::Fuse::kNone;
  if (is_fused && IoOpcode(sqe.opcode) != IoOpcode::kCompare && IoOpcode(sqe.opcode) != IoOpcode::kWrite) {
    return refuse(status::kInvalidField);
  }
  if (is_write(sqe) && info.is_read_only) return refuse(status::kNamespaceWriteProtected);
  switch (IoOpcode(sqe.opcode)) {
    case IoOpcode::kRead:
    case IoOpcode::kWrite:
    case IoOpcode::kCompare:
      if (!is_in_range(sqe, info)) return refuse(status::kLbaOutOfRange);
      if (is_fused_too_large(sqe)) return refuse(status::kAtomicWriteUnitExceeded);
      return exactly(nvme::direction_of(sqe.opcode), uint64_t{sqe.block_count()} * info.block_size, limits);
    case IoOpcode::kWriteZeroes:
    case IoOpcode::kVerify:
      if (!is_in_range(sqe, info)) return refuse(status::kLbaOutOfRange);
      // No data, so MDTS does not bound them; WZSL and VSL do.
      if (uint64_t{sqe.block_count()} * info.block_size > kBlocksOnlyBytesMax) return refuse(status::kInvalidField);
      return {};
    case IoOpcode::kFlush: return {};
    case IoOpcode::kDatasetManagement:
      return at_least(DataDirection::kHostToController, ((sqe.cdw10 & 0xff) + 1) * sizeof(nvme::DsmRange), limits);
    case IoOpcode::kCopy: {
      const uint32_t ranges = (sqe.cdw12 & 0xff) + 1;
      if (bits<11, 8>(uint32_t{sqe.cdw12}) != 0) return refuse(status::kInvalidField);  // descriptor format 0 only
      if (ranges > limits.copy_ranges) return refuse(status::kCommandSizeLimitExceeded);
      return at_least(DataDirection::kHostToController, ranges * sizeof(nvme::CopyRange), limits);
    }
  }
  return refuse(status::kInvalidOpcode);
}

Admission admit_admin(const nvme::Sqe& sqe, const Limits& limits) {
  switch (AdminOpcode(sqe.opcode)) {
    case AdminOpcode::kIdentify: return exactly(DataDirection::kControllerToHost, 4096, limits);
    case AdminOpcode::kGetLogPage: {
      const uint64_t dwords = (uint64_t{sqe.cdw11 & 0xffff} << 16 | sqe.cdw10 >> 16) + 1;
      return at_least(DataDirection::kControllerToHost, dwords * 4, limits);
    }
    case AdminOpcode::kSetFeatures:
    case AdminOpcode::kGetFeatures: {
      const uint32_t length = feature_data_length(uint8_t(sqe.cdw10));
      if (length == 0) return {};
      const bool is_set = AdminOpcode(sqe.opcode) == AdminOpcode::kSetFeatures;
      // Only the current value of a feature has data; capabilities come in the completion.
      if (!is_set && bits<10, 8>(uint32_t{sqe.cdw10}) == 3) return {};
      if (!is_set) return at_least(DataDirection::kControllerToHost, length, limits);
      // More than any feature takes is refused: buffers for admin data are for all hosts.
      return {.direction = DataDirection::kHostToController, .length_min = length, .length_max = kFeatureDataMax};
    }
    case AdminOpcode::kAbort:
    case AdminOpcode::kAsyncEventRequest:
    case AdminOpcode::kKeepAlive: return {};
    case AdminOpcode::kDeleteIoSq:
    case AdminOpcode::kCreateIoSq:
    case AdminOpcode::kDeleteIoCq:
    case AdminOpcode::kCreateIoCq: break;  // not over fabrics
  }
  return refuse(status::kInvalidOpcode);
}

Admission admit_fabrics(const nvme::Sqe& sqe) {
  switch (fabrics::Fctype(sqe.fctype())) {
    case fabrics::Fctype::kConnect:
      return {.direction = DataDirection::kHostToController,
              .length_min = sizeof(fabrics::ConnectData),
              .length_max = sizeof(fabrics::ConnectData)};
    case fabrics::Fctype::kPropertySet:
    case fabrics::Fctype::kPropertyGet:
    case fabrics::Fctype::kDisconnect: return {};
    case fabrics::Fctype::kAuthenticationSend:
    case fabrics::Fctype::kAuthenticationReceive: break;
  }
  return refuse(status::kInvalidOpcode);
}

}  // namespace weft::nvmf
