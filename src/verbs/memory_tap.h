// What sees everything that is done on one connection of a MemoryFabric, at both ends. Passive.
#pragma once
#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "net/stream.h"

namespace weft::verbs {

/// What the connection manager has settled on a connection.
struct MemoryConnection {
  net::Address address;                           // where the client has connected to
  std::span<const std::byte> request;             // private data of both sides; for the call only
  std::span<const std::byte> acceptance;
  uint16_t server_reads = 0;                      // READs that the server may have outstanding
};

class MemoryTap {
 public:
  enum class End : uint8_t { kClient, kServer };
  virtual ~MemoryTap() = default;
  /// `by` has posted a work request; `message`: the bytes of a SEND.
  virtual void on_posted(End by, const ibv_send_wr& request, std::span<const std::byte> message) = 0;
  /// `by` has polled the completion of a receive.
  virtual void on_received(End by, std::span<const std::byte> message) = 0;
  /// `by` knows that a work request of its own has been done: its completion was polled, or that of a later one. `fetched`: what a READ has brought.
  virtual void on_done(End by, const ibv_send_wr& request, std::span<const std::byte> fetched) = 0;
  /// `by` has ended the connection, or was told that it is over. Once per end.
  virtual void on_ended(End by) = 0;
};

}  // namespace weft::verbs
