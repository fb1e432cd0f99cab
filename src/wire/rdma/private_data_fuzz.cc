// Arbitrary private data of an RDMA connection manager: what is accepted is encoded to the same bytes again, but for
// what is reserved, and what is refused has a status with a name.
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/rdma/private_data.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace {

using namespace weft;

/// The structs say the same up to the first reserved byte.
template <WireStruct T>
void check_same(const T& made, std::span<const std::byte> got, size_t size) {
  WEFT_ASSERT(std::ranges::equal(bytes_of(made).first(size), got.first(size)));
  for (const std::byte reserved : bytes_of(made).subspan(size)) WEFT_ASSERT(reserved == std::byte{0});
  WEFT_ASSERT(!to_text(made).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  if (const auto request = rdma::decode_request(bytes)) {
    WEFT_ASSERT(request->send_entries >= 1 && request->send_entries <= 65536);
    check_same(rdma::encode(*request), bytes, offsetof(rdma::RequestData, reserved10));
    WEFT_ASSERT(rdma::decode_request(bytes_of(rdma::encode(*request))) == request);
  } else {
    WEFT_ASSERT(rdma::name_of(request.error()) != "Unknown");
  }
  if (const uint16_t entries = rdma::decode_accept(bytes); entries > 0) {
    check_same(rdma::encode_accept(entries), bytes, offsetof(rdma::AcceptData, reserved4));
  }
  const rdma::RejectStatus why = rdma::decode_reject(bytes);
  WEFT_ASSERT(rdma::decode_reject(bytes_of(rdma::encode(why))) == why);
  WEFT_ASSERT(!rdma::name_of(why).empty());
  return 0;
}
