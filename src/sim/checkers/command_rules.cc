#include "sim/checkers/command_rules.h"

#include "base/bytes.h"

#include <cstring>
#include <fmt/format.h>

namespace weft::sim {
namespace {

std::string text_of(const std::array<char, 256>& field) { return {field.data(), strnlen(field.data(), field.size())}; }

}  // namespace

bool is_fabrics(const nvme::Sqe& sqe) { return sqe.opcode == nvme::kFabricsOpcode; }
bool is_connect(const nvme::Sqe& sqe) {
  return is_fabrics(sqe) && fabrics::Fctype(sqe.fctype()) == fabrics::Fctype::kConnect;
}
nvme::DataDirection direction_of(const nvme::Sqe& sqe) {
  return nvme::direction_of(is_fabrics(sqe) ? sqe.fctype() : sqe.opcode);
}

/// Room in the queue; Connect first, and once.
std::string wrong_of_command(const nvme::Sqe& sqe, const WireQueue& queue, size_t outstanding) {
  if (outstanding >= queue.entries) {
    return fmt::format("CapsuleCmd: {} commands are outstanding on a queue of {}", outstanding, queue.entries);
  }
  if (is_connect(sqe) != queue.is_connected) return {};
  return queue.is_connected ? "a second Connect" : "a command before Connect has succeeded";
}

std::string wrong_of_flags(const nvme::Sqe& sqe) {
  if (is_fabrics(sqe)) return {};
  const uint16_t cid = sqe.cid;
  if (sqe.psdt() != nvme::Psdt::kSglContiguousMetadata && sqe.psdt() != nvme::Psdt::kSglMetadataSgl) {
    return fmt::format("CapsuleCmd: PSDT {}: over fabrics data is in SGLs (CID {:04x}h)", uint8_t(sqe.psdt()), cid);
  }
  if ((sqe.flags & 0x3c) != 0) {
    return fmt::format("CapsuleCmd: reserved flags {:02x}h (CID {:04x}h)", sqe.flags, cid);
  }
  return {};
}

void take_grant(WireQueue& queue, const nvme::Sqe& connect, const fabrics::ConnectData& data, const nvme::Cqe& cqe) {
  const auto& sqe = *view<fabrics::ConnectSqe>(bytes_of(connect));
  queue.is_connected = true;
  queue.qid = sqe.qid;
  queue.cntlid = uint16_t(cqe.dw0);
  queue.entries = uint32_t{sqe.sqsize} + 1;
  const bool asks_for_none = (sqe.cattr & fabrics::kCattrDisableSqFlowControl) != 0;
  queue.has_flow_control = !asks_for_none || cqe.sqhd != 0xffff;
  queue.kato_ms = sqe.kato;
  queue.subnqn = text_of(data.subnqn);
  queue.hostnqn = text_of(data.hostnqn);
  queue.hostid = data.hostid;
  queue.name += fmt::format(", controller {} queue {}", queue.cntlid, queue.qid);
}

}  // namespace weft::sim
