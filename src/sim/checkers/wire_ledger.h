// What is outstanding on one connection, as its bytes tell: commands and the transfers that R2Ts have opened. Facts
// only; WireMonitor judges. A command is in the ledger from when the host sends it until the host has received its
// response.
#pragma once
#include "base/time.h"
#include "wire/nvme/command.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

namespace weft::sim {

struct WireRecord {
  enum class Way : uint8_t { kNone, kInCapsule, kToTarget, kToHost };

  nvme::Sqe sqe;
  Way way = Way::kNone;
  uint32_t length = 0;  // bytes of its data
  uint32_t in_capsule_bytes = 0;

  // The target's view.
  bool has_arrived = false;
  Instant arrived_at{};
  bool is_spoiled = false;  // the network has changed data of it that has arrived
  uint32_t asked = 0;       // bytes that R2Ts have asked for
  uint32_t arrived = 0;     // bytes of H2CData
  uint32_t given = 0;       // bytes of C2HData
  bool has_last = false;    // C2HData with LAST_PDU was sent
  bool is_answered = false;

  std::vector<std::byte> connect_data;  // of a Connect, as far as it has arrived
};

/// What one R2T has asked for, until it has arrived.
struct WireTransfer {
  uint16_t cid = 0;
  uint16_t ttag = 0;
  uint32_t offset = 0;
  uint32_t length = 0;
  uint32_t sent = 0;
  uint32_t arrived = 0;
  bool is_known_to_host = false;
  bool is_void = false;  // its command was answered before the data came; the host may still send it
};

struct WireLedger {
  std::map<uint16_t, WireRecord> commands;  // by CID
  std::vector<WireTransfer> transfers;

  WireRecord* find(uint16_t cid) {
    const auto found = commands.find(cid);
    return found == commands.end() ? nullptr : &found->second;
  }
  /// The command of that CID if the target has received it and not answered it.
  WireRecord* find_open(uint16_t cid) {
    WireRecord* record = find(cid);
    return record != nullptr && record->has_arrived && !record->is_answered ? record : nullptr;
  }
  WireTransfer* find_transfer(uint16_t cid, uint16_t ttag) {
    const auto found = std::ranges::find_if(
        transfers, [&](const WireTransfer& transfer) { return transfer.cid == cid && transfer.ttag == ttag; });
    return found == transfers.end() ? nullptr : &*found;
  }
};

}  // namespace weft::sim
