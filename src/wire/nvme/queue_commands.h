// Admin commands that exist on PCI Express only, or are about queues: Create and Delete I/O Queue, Abort, Doorbell Buffer Config, and PRP entries.
// NVMe Base 2.0 §4.1.1 (PRP), §5.1 (Abort), §5.4-5.8; §B.5 (shadow doorbells).
#pragma once
#include <bit>
#include <cstdint>

#include "base/bits.h"
#include "wire/nvme/command.h"
#include "wire/nvme/status.h"

namespace weft::nvme {

/// Not among AdminOpcode, which are those that a host may send over fabrics or has to be refused by name.
inline constexpr auto kDoorbellBufferConfig = AdminOpcode(0x7c);

inline constexpr uint8_t kSglDataBlock = 0x00;  // SglDescriptor::type: an address and a length

namespace status {
inline constexpr Status kInvalidCompletionQueue{StatusCodeType::kCommandSpecific, 0x00};
inline constexpr Status kInvalidQueueSize{StatusCodeType::kCommandSpecific, 0x02};
inline constexpr Status kInvalidQueueDeletion{StatusCodeType::kCommandSpecific, 0x0c};
}  // namespace status

/// Of a PRP entry, with CC.MPS 0.
inline constexpr uint32_t kPageBytes = 4096;
inline constexpr uint32_t kPrpsOfAPage = kPageBytes / sizeof(le64);

/// PRP1 and PRP2 of a command, bytes 24 to 39, where SGL1 lies otherwise.
struct Prps {
  le64 prp1;
  le64 prp2;
};
static_assert(sizeof(Prps) == sizeof(SglDescriptor));
constexpr Prps prps_of(const Sqe& sqe) { return std::bit_cast<Prps>(sqe.sgl); }
constexpr void set_prps(Sqe& sqe, const Prps& prps) { sqe.sgl = std::bit_cast<SglDescriptor>(prps); }

/// Create I/O Submission Queue and Create I/O Completion Queue; PRP1 is the queue. CDW10 of both: 15:0 QID, 31:16 QSIZE, 0-based.
struct QueueCreation {
  uint16_t qid = 0;
  uint32_t entries = 2;  // 2..65536

  static constexpr QueueCreation from(const Sqe& sqe) {
    const uint32_t cdw10 = sqe.cdw10;
    return {.qid = uint16_t(bits<15, 0>(cdw10)), .entries = bits<31, 16>(cdw10) + 1};
  }
  constexpr uint32_t cdw10() const { return (entries - 1) << 16 | qid; }
};
inline constexpr uint32_t kQueueContiguous = 1u << 0;       // CDW11 PC, of both
inline constexpr uint32_t kCqInterruptsEnabled = 1u << 1;   // CDW11 IEN; 31:16 IV
constexpr uint32_t create_cq_cdw11(uint16_t vector) { return uint32_t{vector} << 16 | kCqInterruptsEnabled | kQueueContiguous; }
constexpr uint32_t create_sq_cdw11(uint16_t cqid) { return uint32_t{cqid} << 16 | kQueueContiguous; }  // 2:1 QPRIO

/// Abort, CDW10: 15:0 SQID, 31:16 CID.
struct AbortTarget {
  uint16_t sqid = 0;
  uint16_t cid = 0;

  static constexpr AbortTarget from(const Sqe& sqe) {
    const uint32_t cdw10 = sqe.cdw10;
    return {.sqid = uint16_t(bits<15, 0>(cdw10)), .cid = uint16_t(bits<31, 16>(cdw10))};
  }
  constexpr uint32_t cdw10() const { return uint32_t{cid} << 16 | sqid; }
};
inline constexpr uint32_t kNotAborted = 1u << 0;  // CDW0 of Abort's completion

}  // namespace weft::nvme
