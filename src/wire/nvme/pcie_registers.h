// What registers.h leaves out because it is not there over fabrics, or no host over fabrics has to take it apart: the registers of the admin queue, the
// fields of CAP, and where doorbells lie. NVMe Base 2.0 §3.1.3; NVMe over PCIe Transport 1.0 §3.1.1 (doorbells).
#pragma once
#include <cstdint>

#include "base/bits.h"
#include "wire/nvme/registers.h"

namespace weft::nvme {

namespace property {
inline constexpr uint32_t kAqa = 0x24;  // 4 bytes
inline constexpr uint32_t kAsq = 0x28;  // 8
inline constexpr uint32_t kAcq = 0x30;  // 8
inline constexpr uint32_t kDoorbells = 0x1000;
}  // namespace property

inline constexpr uint32_t kVersion1_4 = 0x00010400;

/// What a read of a device that is not there gives: no register that is read here can hold it.
inline constexpr uint32_t kAllOnes = 0xffffffff;

// Fields of CC, to put it together.
inline constexpr uint32_t kCcEnable = 1u << 0;
inline constexpr uint32_t kCcShutdownNormal = 1u << 14;
inline constexpr uint32_t kCcShutdownMask = 3u << 14;
inline constexpr uint32_t kCcIoSqes64Bytes = 6u << 16;
inline constexpr uint32_t kCcIoCqes16Bytes = 4u << 20;

/// Controller Capabilities, 00h: the fields that a host acts on.
struct Cap {
  uint32_t queue_entries_max = 1;     // MQES, on the wire 0-based: 1..65536
  bool needs_contiguous_queues = true;  // CQR
  uint32_t timeout_500ms = 0;         // TO: for CSTS.RDY to follow CC.EN
  uint32_t doorbell_stride_log2 = 0;  // DSTRD, 0..15: doorbells lie 4 << DSTRD bytes apart
  bool has_subsystem_reset = false;   // NSSRS
  bool has_nvm_commands = false;      // CSS bit 0 of 8
  uint32_t page_log2_min = 0;         // MPSMIN, 0..15: memory pages of 4096 << n bytes
  uint32_t page_log2_max = 0;         // MPSMAX
  bool has_ready_timeouts = false;    // CRMS.CRWMS: CRTO says how long RDY takes

  static constexpr Cap from_wire(uint64_t raw) {
    return {.queue_entries_max = uint32_t(bits<15, 0>(raw)) + 1,
            .needs_contiguous_queues = bit<16>(raw),
            .timeout_500ms = uint32_t(bits<31, 24>(raw)),
            .doorbell_stride_log2 = uint32_t(bits<35, 32>(raw)),
            .has_subsystem_reset = bit<36>(raw),
            .has_nvm_commands = bit<37>(raw),
            .page_log2_min = uint32_t(bits<51, 48>(raw)),
            .page_log2_max = uint32_t(bits<55, 52>(raw)),
            .has_ready_timeouts = bit<59>(raw)};
  }
  /// Requires: every field is within its bounds.
  constexpr uint64_t to_wire() const {
    return uint64_t{queue_entries_max - 1} | uint64_t{needs_contiguous_queues} << 16 | uint64_t{timeout_500ms} << 24 |
           uint64_t{doorbell_stride_log2} << 32 | uint64_t{has_subsystem_reset} << 36 | uint64_t{has_nvm_commands} << 37 |
           uint64_t{page_log2_min} << 48 | uint64_t{page_log2_max} << 52 | uint64_t{has_ready_timeouts} << 59;
  }
};

/// Admin Queue Attributes, 24h. On the wire both are 0-based: 11:0 submission, 27:16 completion.
struct AdminQueueAttributes {
  static constexpr uint32_t kEntriesMax = 4096;
  uint32_t submission_entries = 2;  // 2..4096
  uint32_t completion_entries = 2;

  static constexpr AdminQueueAttributes from_wire(uint32_t raw) { return {bits<11, 0>(raw) + 1, bits<27, 16>(raw) + 1}; }
  constexpr uint32_t to_wire() const { return (completion_entries - 1) << 16 | (submission_entries - 1); }
};

/// Offsets of the doorbells of queue `qid`. The same distances, from 0, hold in the buffers of Doorbell Buffer Config.
constexpr uint32_t doorbell_stride(const Cap& cap) { return 4u << cap.doorbell_stride_log2; }
constexpr uint32_t sq_tail_doorbell(uint16_t qid, uint32_t stride) { return 2u * qid * stride; }
constexpr uint32_t cq_head_doorbell(uint16_t qid, uint32_t stride) { return (2u * qid + 1) * stride; }

}  // namespace weft::nvme
