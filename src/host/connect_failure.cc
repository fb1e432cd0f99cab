#include "host/connect_failure.h"

#include <fmt/format.h>

#include "base/bits.h"
#include "wire/print.h"

namespace weft::host {
namespace {

/// The field at an offset of the Connect SQE or of its data. NVMe Base 2.0 §6.3 (Connect).
std::string_view field_at(uint32_t offset, bool is_in_data) {
  using fabrics::ConnectData;
  using fabrics::ConnectSqe;
  if (is_in_data) {
    if (offset == offsetof(ConnectData, hostid)) return "HOSTID";
    if (offset == offsetof(ConnectData, cntlid)) return "CNTLID";
    if (offset == offsetof(ConnectData, subnqn)) return "SUBNQN";
    if (offset == offsetof(ConnectData, hostnqn)) return "HOSTNQN";
    return "data";
  }
  if (offset == offsetof(ConnectSqe, recfmt)) return "RECFMT";
  if (offset == offsetof(ConnectSqe, qid)) return "QID";
  if (offset == offsetof(ConnectSqe, sqsize)) return "SQSIZE";
  if (offset == offsetof(ConnectSqe, cattr)) return "CATTR";
  if (offset == offsetof(ConnectSqe, kato)) return "KATO";
  return "SQE";
}

}  // namespace

std::string connect_failure_text(const nvme::Cqe& cqe, std::string_view subnqn, std::string_view hostnqn) {
  const nvme::Status status = cqe.decoded_status();
  if (status.is(nvme::status::kConnectInvalidHost)) return fmt::format("host {} is not allowed on subsystem {}", hostnqn, subnqn);
  if (status.is(nvme::status::kConnectControllerBusy)) return "the controller is busy or none is free (1/81h)";
  if (status.is(nvme::status::kConnectIncompatibleFormat)) return "the target does not know this format of Connect (1/80h)";
  if (status.is(nvme::status::kAuthenticationRequired)) return "the target wants authentication, which this host does not have (1/91h)";
  if (!status.is(nvme::status::kConnectInvalidParameters)) return nvme::to_text(status);
  const uint32_t dw0 = cqe.dw0;
  const uint32_t offset = bits<15, 0>(dw0);
  const bool is_in_data = bit<16>(dw0);
  const std::string_view field = field_at(offset, is_in_data);
  if (field == "SUBNQN") return fmt::format("there is no subsystem {}", subnqn);
  return fmt::format("the target refuses {} (byte {} of the {})", field, offset, is_in_data ? "Connect data" : "SQE");
}

}  // namespace weft::host
