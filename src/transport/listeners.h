// The listeners of an acceptor, whatever they listen with. Belongs to the home reactor.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "transport/transport.h"

namespace weft::transport {

/// `Listening` is the acceptor's ear: the events of one listener of the seam, made of the acceptor and of whether only this machine reaches it, with
/// a member `listener` that owns the seam's half.
template <typename Listening>
class Listeners {
 public:
  /// As Transport::listen(), by `seam` (a net::Net, a verbs::Verbs). Outlives: both outlive the listener.
  template <typename Seam, typename Acceptor>
  Result<net::Address> listen(Seam& seam, Acceptor& acceptor, const net::Address& address) {
    auto listening = std::make_unique<Listening>(acceptor, listens_on_loopback(address));
    auto listener = seam.listen(address, *listening);
    if (!listener) return std::unexpected(listener.error());
    listening->listener = std::move(*listener);
    all_.push_back(std::move(listening));
    return all_.back()->listener->address();
  }
  /// As Transport::unlisten().
  Result<void> unlisten(const net::Address& address) {
    const size_t count = std::erase_if(all_, [&](const auto& listening) { return listening->listener->address() == address; });
    if (count == 0) return fail(Errc::kNotFound, "nothing listens on that address");
    return {};
  }
  void clear() { all_.clear(); }

 private:
  std::vector<std::unique_ptr<Listening>> all_;
};

}  // namespace weft::transport
