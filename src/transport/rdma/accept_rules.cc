#include "transport/rdma/accept_rules.h"

#include <algorithm>

#include "wire/fabrics/connect.h"

namespace weft::rdma {

std::expected<Acceptance, RejectStatus> judge(const verbs::RequestInfo& info, const Limits& limits) {
  const auto request = decode_request(info.private_data);
  if (!request) return std::unexpected(request.error());
  const bool is_admin = request->qid == 0;
  if (request->qid > limits.io_queues) return std::unexpected(RejectStatus::kInvalidQid);
  const uint32_t entries_max = is_admin ? limits.admin_queue_entries : limits.queue_entries;
  if (request->send_entries < 2 || request->send_entries > entries_max) return std::unexpected(RejectStatus::kInvalidHsqsize);
  if (request->receive_entries == 0) return std::unexpected(RejectStatus::kInvalidHrqsize);
  // Without READs no command could bring data. Responder resources say what the host could ask of us, which is nothing: ESXi asks for 1.
  if (info.initiator_depth == 0) return std::unexpected(RejectStatus::kInvalidIrd);
  const bool is_cntlid_possible = request->cntlid <= fabrics::kCntlidMax || request->cntlid == fabrics::kCntlidDynamic;
  if (!is_admin && !is_cntlid_possible) return std::unexpected(RejectStatus::kInvalidCntlid);
  const auto reads = std::min<uint32_t>({info.initiator_depth, info.device.initiated_reads_max, limits.rdma_reads});
  if (reads == 0) return std::unexpected(RejectStatus::kInvalidIrd);
  return Acceptance{*request, uint16_t(reads)};
}

}  // namespace weft::rdma
