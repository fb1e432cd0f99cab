// What the peers of one reactor did that is worth a line in the log: each kind at most once a second, with the peer and the reason, and how
// many like it were left out, so that a storm of connections is not one of lines. Belongs to what the connections of one transport share there.
#pragma once
#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "core/reactor.h"
#include "nvmf/transport_ops.h"
#include "wire/nvme/status.h"

namespace weft::transport {

class EventLog {
 public:
  /// `transport` starts each line; static text.
  explicit EventLog(std::string_view transport) : transport_(transport) {}

  enum class Kind : uint8_t {
    kViolation,    // what breaks the protocol and ends the connection
    kTermination,  // the peer has sent a termination request
    kBreach,       // a command that no proper host sends; only the command fails
    kTimeout,      // the peer does not send what is due
    kStall,        // the peer takes no byte
    kCount,
  };

  /// Writes "TRANSPORT: PEER port PORT: " and the message, or counts it.
  template <typename... Args>
  void write(Kind kind, Reactor& reactor, const nvmf::Origin& origin, fmt::format_string<Args...> format, Args&&... args) {
    RateLimit& limit = limits_[size_t(kind)];
    if (!limit.allow(reactor.now())) return;
    std::array<char, Log::kLineMax> message;
    const auto result = fmt::format_to_n(message.data(), message.size(), format, std::forward<Args>(args)...);
    reactor.log().warn("{}: {} port {}: {} ({} more not shown)", transport_, origin.peer_host, origin.peer_port,
                       std::string_view(message.data(), std::min(result.size, message.size())), limit.suppressed());
  }

 private:
  std::string_view transport_;
  std::array<RateLimit, size_t(Kind::kCount)> limits_;
};

/// Whether a command failed for something that a proper host never does: its framing, its identifier or its place in the sequence is wrong.
constexpr bool is_breach(nvme::Status status) {
  for (const nvme::Status breach : {nvme::status::kCommandIdConflict, nvme::status::kCommandSequenceError, nvme::status::kInvalidSglSegment,
                                    nvme::status::kInvalidSglCount, nvme::status::kSglLengthInvalid, nvme::status::kSglTypeInvalid,
                                    nvme::status::kSglOffsetInvalid, nvme::status::kTransientTransportError}) {
    if (status.is(breach)) return true;
  }
  return false;
}

}  // namespace weft::transport
