// Dumps of the private data of RDMA connections.
#include "wire/print_lines.h"
#include "wire/rdma/private_data.h"

#include <fmt/format.h>

namespace weft::rdma {

std::string_view name_of(RejectStatus status) {
  switch (status) {
    case RejectStatus::kInvalidLength:
      return "invalid private data length";
    case RejectStatus::kInvalidRecfmt:
      return "invalid RECFMT";
    case RejectStatus::kInvalidQid:
      return "invalid QID";
    case RejectStatus::kInvalidHsqsize:
      return "invalid HSQSIZE";
    case RejectStatus::kInvalidHrqsize:
      return "invalid HRQSIZE";
    case RejectStatus::kNoResources:
      return "no resources";
    case RejectStatus::kInvalidIrd:
      return "invalid IRD";
    case RejectStatus::kInvalidOrd:
      return "invalid ORD";
    case RejectStatus::kInvalidCntlid:
      return "invalid CNTLID";
  }
  return "Unknown";
}

std::string to_text(const RequestData& data) {
  return fmt::format("RDMA request recfmt {} qid {} hrqsize {} hsqsize {} cntlid {:#06x}", data.recfmt, data.qid,
                     data.hrqsize, data.hsqsize, data.cntlid);
}

std::string to_text(const AcceptData& data) {
  return fmt::format("RDMA accept recfmt {} crqsize {}", data.recfmt, data.crqsize);
}

std::string to_text(const RejectData& data) {
  return fmt::format("RDMA reject recfmt {} sts {} ({})", data.recfmt, data.sts,
                     name_of(RejectStatus(uint16_t{data.sts})));
}

}  // namespace weft::rdma
