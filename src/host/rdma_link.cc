#include "host/rdma_link.h"

#include <fmt/format.h>

namespace weft::host {

Error error_of(const verbs::Ending& ending) {
  switch (ending.kind) {
    case verbs::Ending::Kind::kDisconnected: return {Errc::kClosed, "the target closed the connection"};
    case verbs::Ending::Kind::kUnreachable: return {Errc::kIo, "nobody answers there, or the way is lost"};
    case verbs::Ending::Kind::kRemoved: return {Errc::kNotFound, "the RDMA device is gone"};
    case verbs::Ending::Kind::kFailed: return Error::from_errno(ending.error_number, "the connection failed");
    case verbs::Ending::Kind::kRejected: break;
  }
  if (ending.private_data.size() < sizeof(rdma::RejectData)) return {Errc::kDenied, "the connection is refused: no NVMe/RDMA target listens there, or it gives no reason"};
  const rdma::RejectStatus status = rdma::decode_reject(ending.private_data);
  return {Errc::kDenied, fmt::format("the target refuses the connection: {} (STS {:02x}h)", rdma::name_of(status), uint16_t(status))};
}

}  // namespace weft::host
