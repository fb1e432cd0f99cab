#include "wire/rdma/private_data.h"

#include "base/assert.h"
#include "base/bytes.h"

namespace weft::rdma {

std::expected<Request, RejectStatus> decode_request(std::span<const std::byte> private_data) {
  const auto* data = view<RequestData>(private_data);
  if (data == nullptr) return std::unexpected(RejectStatus::kInvalidLength);
  if (data->recfmt != kRecfmt) return std::unexpected(RejectStatus::kInvalidRecfmt);
  return Request{.qid = data->qid,
                 .receive_entries = data->hrqsize,
                 .send_entries = uint16_t{data->hsqsize} + 1u,
                 .cntlid = data->cntlid};
}

RequestData encode(const Request& request) {
  WEFT_ASSERT(request.send_entries >= 1 && request.send_entries <= 65536);
  RequestData data{};
  data.recfmt = kRecfmt;
  data.qid = request.qid;
  data.hrqsize = request.receive_entries;
  data.hsqsize = uint16_t(request.send_entries - 1);
  data.cntlid = request.cntlid;
  return data;
}

uint16_t decode_accept(std::span<const std::byte> private_data) {
  const auto* data = view<AcceptData>(private_data);
  return data == nullptr || data->recfmt != kRecfmt ? uint16_t{0} : uint16_t{data->crqsize};
}

AcceptData encode_accept(uint16_t receive_entries) {
  AcceptData data{};
  data.recfmt = kRecfmt;
  data.crqsize = receive_entries;
  return data;
}

RejectStatus decode_reject(std::span<const std::byte> private_data) {
  const auto* data = view<RejectData>(private_data);
  if (data == nullptr) return RejectStatus::kInvalidLength;
  if (data->recfmt != kRecfmt) return RejectStatus::kInvalidRecfmt;
  return RejectStatus(uint16_t{data->sts});
}

RejectData encode(RejectStatus status) { return {.recfmt = kRecfmt, .sts = uint16_t(status)}; }

}  // namespace weft::rdma
