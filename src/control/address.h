// The address of a listener as people write it: `[tcp://|rdma://]HOST:PORT`. HOST is numeric: 127.0.0.1, [::1], 0.0.0.0, [::].
// Names are not resolved, because a target must not listen somewhere else when a name server changes its mind.
#pragma once
#include "base/error.h"
#include "net/stream.h"

#include <string>
#include <string_view>

namespace weft::control {

/// The address that `text` says; the host in its shortest form, port 0 where the kernel shall choose. IPv6 zones
/// (fe80::1%eth0) are refused. Errors: kInvalid, with what is wrong and how to write it.
Result<net::Address> parse_address(std::string_view text);

enum class Scheme : uint8_t { kTcp, kRdma };
std::string_view name_of(Scheme scheme);

/// Where hosts connect, and by which transport.
struct Endpoint {
  Scheme scheme = Scheme::kTcp;
  net::Address address;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
/// As parse_address(), with either transport in front; tcp where there is none.
Result<Endpoint> parse_endpoint(std::string_view text);

/// "127.0.0.1:4420", "[::1]:4420".
std::string to_text(const net::Address& address);
/// As people write it: "127.0.0.1:4420", "rdma://[::1]:4420".
std::string to_text(const Endpoint& endpoint);

/// Only this machine can reach it: 127.0.0.0/8, ::1 and their IPv4-mapped forms. Requires: the host is numeric.
bool is_loopback(const net::Address& address);

/// Every address of this machine: 0.0.0.0 or [::]. Requires: the host is numeric.
bool is_wildcard(const net::Address& address);

}  // namespace weft::control
