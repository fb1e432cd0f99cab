// The plug: what app/ needs of a transport, whichever it is. Belongs to the target's home reactor; connections live on all of them.
#pragma once
#include <cstdint>
#include <functional>

#include "base/error.h"
#include "net/stream.h"

namespace weft::transport {

/// Whether only this machine can reach a listener of that address.
inline bool listens_on_loopback(const net::Address& address) { return address.is_ipv6 ? address.host == "::1" : address.host.starts_with("127."); }

/// Since the start, but for `connections`.
struct Totals {
  uint64_t connections = 0;         // now
  uint64_t accepted = 0;
  uint64_t refused = 0;             // over a cap, or the target stops
  uint64_t violations = 0;          // fatal errors of peers: we have ended the connection
  uint64_t peer_terminations = 0;   // fatal errors that peers have told us of
  uint64_t digest_errors = 0;       // data that came with a wrong digest
  uint64_t timeouts = 0;            // peers that did not go on in time
};

class Transport {
 public:
  virtual ~Transport() = default;
  /// Accepts on `address` from now on; returns the real one (port 0 takes any free one). Before the reactors run, or on the home reactor.
  /// Errors: the system's, with the address.
  virtual Result<net::Address> listen(const net::Address& address) = 0;
  /// Accepts no more on `address`, as listen() has returned it; its connections go on. On the home reactor. Errors: kNotFound.
  virtual Result<void> unlisten(const net::Address& address) = 0;
  /// Accepts no more; calls `done` when the last connection is gone. Does not close any: nvmf::Target::stop() does. On the home reactor, once.
  virtual void stop(std::move_only_function<void()> done) = 0;
  /// Any thread.
  virtual Totals totals() const = 0;
};

}  // namespace weft::transport
