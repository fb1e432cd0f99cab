#include "control/address.h"

#include "base/assert.h"
#include "control/problem.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <optional>

#include <arpa/inet.h>

namespace weft::control {
namespace {

constexpr std::string_view kHowTo = "write HOST:PORT, for example 127.0.0.1:4420 or [::1]:4420";

std::unexpected<Error> bad_address(std::string_view text, std::string_view why) {
  return fail(Errc::kInvalid, fmt::format("{} is not an address: {}", shown(text), why));
}

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, errc] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (errc != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

/// An address of either family as IPv6: IPv4 in its mapped form, ::ffff:a.b.c.d.
using HostBytes = std::array<uint8_t, 16>;
constexpr HostBytes kMappedAny{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
constexpr HostBytes kIpv6Loopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

std::optional<HostBytes> parse_host(const std::string& host, bool is_ipv6) {
  HostBytes bytes = kMappedAny;
  const bool is_numeric = is_ipv6 ? inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1
                                  : inet_pton(AF_INET, host.c_str(), &bytes[12]) == 1;
  return is_numeric ? std::optional{bytes} : std::nullopt;
}

std::string host_text(const HostBytes& bytes, bool is_ipv6) {
  char text[INET6_ADDRSTRLEN];
  const char* done = is_ipv6 ? inet_ntop(AF_INET6, bytes.data(), text, sizeof text)
                             : inet_ntop(AF_INET, &bytes[12], text, sizeof text);
  WEFT_ASSERT(done != nullptr);
  return text;
}

HostBytes bytes_of_host(const net::Address& address) {
  const auto bytes = parse_host(address.host, address.is_ipv6);
  WEFT_ASSERT(bytes.has_value());
  return *bytes;
}

bool is_ipv4_mapped(const HostBytes& bytes) {
  return std::equal(bytes.begin(), bytes.begin() + 12, kMappedAny.begin());
}

}  // namespace

Result<net::Address> parse_address(std::string_view text) {
  std::string_view rest = text;
  if (const size_t scheme_length = rest.find("://"); scheme_length != std::string_view::npos) {
    if (rest.substr(0, scheme_length) != "tcp") return bad_address(text, "the only transport is tcp");
    rest.remove_prefix(scheme_length + 3);
  }
  if (rest.find('\0') != std::string_view::npos) return bad_address(text, kHowTo);
  const bool bracketed = rest.starts_with('[');
  const size_t host_end = bracketed ? rest.find(']') : rest.rfind(':');
  if (host_end == std::string_view::npos) return bad_address(text, kHowTo);
  const std::string_view host = bracketed ? rest.substr(1, host_end - 1) : rest.substr(0, host_end);
  std::string_view port_text = rest.substr(bracketed ? host_end + 1 : host_end);
  if (!bracketed && host.find(':') != std::string_view::npos)
    return bad_address(text, "write IPv6 in brackets, for example [::1]:4420");
  if (!port_text.starts_with(':')) return bad_address(text, kHowTo);
  port_text.remove_prefix(1);

  if (host.find('%') != std::string_view::npos)
    return bad_address(text, "zones (%eth0) cannot be listened on; use a global address or [::]");
  if (host.empty() || host == "*")
    return bad_address(text, "for every address of this machine write 0.0.0.0:PORT or [::]:PORT");
  const auto bytes = parse_host(std::string{host}, bracketed);
  if (!bytes)
    return bad_address(text,
                       "the host must be numeric, names are not resolved; for example 127.0.0.1:4420 or [::1]:4420");
  const auto port = parse_port(port_text);
  if (!port) return bad_address(text, "the port must be a number from 0 to 65535 (0: any free port)");
  return net::Address{.host = host_text(*bytes, bracketed), .port = *port, .is_ipv6 = bracketed};
}

std::string_view name_of(Scheme scheme) {
  switch (scheme) {
    case Scheme::kTcp:
      return "tcp";
    case Scheme::kRdma:
      return "rdma";
  }
  return {};
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  constexpr std::string_view kMark = "://";
  const size_t mark = text.find(kMark);
  const std::string_view name = mark == std::string_view::npos ? "tcp" : text.substr(0, mark);
  if (name != "tcp" && name != "rdma") return bad_address(text, "the transports are tcp and rdma");
  const std::string_view rest = mark == std::string_view::npos ? text : text.substr(mark + kMark.size());
  if (rest.find(kMark) != std::string_view::npos) return bad_address(text, kHowTo);
  const auto address = parse_address(rest);
  if (!address) return std::unexpected(address.error());
  return Endpoint{.scheme = name == "rdma" ? Scheme::kRdma : Scheme::kTcp, .address = *address};
}

std::string to_text(const Endpoint& endpoint) {
  return (endpoint.scheme == Scheme::kRdma ? "rdma://" : "") + to_text(endpoint.address);
}

std::string to_text(const net::Address& address) {
  return address.is_ipv6 ? fmt::format("[{}]:{}", address.host, address.port)
                         : fmt::format("{}:{}", address.host, address.port);
}

bool is_loopback(const net::Address& address) {
  const HostBytes bytes = bytes_of_host(address);
  return bytes == kIpv6Loopback || (is_ipv4_mapped(bytes) && bytes[12] == 127);
}

bool is_wildcard(const net::Address& address) {
  const HostBytes bytes = bytes_of_host(address);
  return bytes == kMappedAny || bytes == HostBytes{};
}

}  // namespace weft::control
