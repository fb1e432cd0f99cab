// What sees every byte of one connection between a host and a target, on its way in and on its way out of the network.
// Passive.
#pragma once
#include "base/time.h"
#include "net/stream.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace weft::sim {

/// Who is at an end of a connection: the host connected, the target accepted.
enum class Side : uint8_t { kHost, kTarget };
constexpr Side other(Side side) { return side == Side::kHost ? Side::kTarget : Side::kHost; }

class WireTap {
 public:
  virtual ~WireTap() = default;
  /// `from` has given bytes to the network, as it meant them.
  virtual void on_sent(Side from, std::span<const std::byte> bytes, Instant now) = 0;
  /// `by` has taken bytes from the network: the oldest that it has not taken, maybe with bits changed on the way.
  virtual void on_received(Side by, std::span<const std::byte> bytes, Instant now) = 0;
  /// `by` has closed, or was told that the connection is gone: it neither sends nor receives from now on. Once per
  /// side.
  virtual void on_closed(Side by, Instant now) = 0;
  /// `by` has half-closed: it sends nothing more, and may still receive.
  virtual void on_finished(Side by, Instant now) = 0;
  /// Whether the bytes that `from` is about to send are under a header digest and a data digest: only such bytes may be
  /// corrupted on the way.
  virtual bool is_under_digests(Side from) const = 0;
};

/// Makes a tap for each connection.
class WireTaps {
 public:
  virtual ~WireTaps() = default;
  /// A host of machine `host_machine` connects to `address` of machine `target_machine`.
  virtual std::unique_ptr<WireTap> connected(size_t host_machine, size_t target_machine, const net::Address& address,
                                             Instant now) = 0;
};

}  // namespace weft::sim
