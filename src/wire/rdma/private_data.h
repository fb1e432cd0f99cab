// The private data of the RDMA connection manager's messages that set up an NVMe/RDMA queue: request, accept, reject.
// NVMe/RDMA Transport 1.0a §3.1.
#pragma once
#include "base/endian.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

namespace weft::rdma {

inline constexpr uint16_t kRecfmt = 0;  // the only record format there is

/// Of the host, with the connection request.
struct RequestData {
  le16 recfmt;
  le16 qid;
  le16 hrqsize;  // entries of the host's receive queue
  le16 hsqsize;  // entries of the host's send queue, 0-based
  le16 cntlid;   // I/O queues of newer hosts; else 0
  std::array<std::byte, 22> reserved10;
};
static_assert(sizeof(RequestData) == 32 && alignof(RequestData) == 1 && offsetof(RequestData, hsqsize) == 6 &&
              offsetof(RequestData, cntlid) == 8);

/// Of the target, with the acceptance.
struct AcceptData {
  le16 recfmt;
  le16 crqsize;  // entries of the controller's receive queue
  std::array<std::byte, 28> reserved4;
};
static_assert(sizeof(AcceptData) == 32 && offsetof(AcceptData, crqsize) == 2);

/// Why a target refuses a connection; with the connection manager's reason 28, "consumer defined".
enum class RejectStatus : uint16_t {
  kInvalidLength = 1,
  kInvalidRecfmt = 2,
  kInvalidQid = 3,
  kInvalidHsqsize = 4,
  kInvalidHrqsize = 5,
  kNoResources = 6,
  kInvalidIrd = 7,
  kInvalidOrd = 8,
  kInvalidCntlid = 9,
};

struct RejectData {
  le16 recfmt;
  le16 sts;
};
static_assert(sizeof(RejectData) == 4);

/// What a request says. The values are for the transport to judge.
struct Request {
  uint16_t qid = 0;
  uint16_t receive_entries = 0;  // of the host: responses that may be outstanding
  uint32_t send_entries = 1;     // of the host: commands that may be outstanding, 1..65536
  uint16_t cntlid = 0;

  friend bool operator==(const Request&, const Request&) = default;
};

/// What the private data of a request says, or the status to reject it with. Connection managers pad it with zeroes, so
/// what follows it is ignored.
std::expected<Request, RejectStatus> decode_request(std::span<const std::byte> private_data);
/// Requires: 1 <= request.send_entries <= 65536.
RequestData encode(const Request& request);

/// The receive entries that an acceptance grants; 0 when it is too short or of another format. Linux targets always
/// send it, and Linux hosts do not look.
uint16_t decode_accept(std::span<const std::byte> private_data);
AcceptData encode_accept(uint16_t receive_entries);

/// Why the target has refused; kInvalidRecfmt when it says so in another format, kInvalidLength when it does not say.
RejectStatus decode_reject(std::span<const std::byte> private_data);
RejectData encode(RejectStatus status);

/// In words, or "Unknown".
std::string_view name_of(RejectStatus status);

// Dumps, as those of wire/print.h.
std::string to_text(const RequestData& data);
std::string to_text(const AcceptData& data);
std::string to_text(const RejectData& data);

}  // namespace weft::rdma
