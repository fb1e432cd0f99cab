// Which connection requests a target takes: every reason for which a request is wrong by itself, as a pure function. Whether there is room for it
// is the station's to say. NVMe/RDMA 1.0a §3.1; docs/peer-bugs.md says why responder resources do not matter.
#pragma once
#include <expected>

#include "core/limits.h"
#include "verbs/verbs.h"
#include "wire/rdma/private_data.h"

namespace weft::rdma {

struct Acceptance {
  Request request;
  uint16_t reads_max = 0;  // READs of ours that may be outstanding; > 0
};
std::expected<Acceptance, RejectStatus> judge(const verbs::RequestInfo& info, const Limits& limits);

}  // namespace weft::rdma
