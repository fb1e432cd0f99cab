#include "transport/admission.h"

#include "base/assert.h"
#include "base/simulation.h"

namespace weft::transport {

std::optional<size_t> Admission::admit(const std::string& peer) {
  if (count_ >= limits_.connections) {
    WEFT_PROBE("tcp/too-many-connections");
    return std::nullopt;
  }
  const auto known = per_peer_.find(peer);
  if (known != per_peer_.end() && known->second >= limits_.connections_per_peer) {
    WEFT_PROBE("tcp/too-many-connections-of-peer");
    return std::nullopt;
  }
  size_t best = turn_;
  for (size_t i = 0; i < per_reactor_.size(); ++i) {
    const size_t candidate = (turn_ + i) % per_reactor_.size();
    if (per_reactor_[candidate] < per_reactor_[best]) best = candidate;
  }
  turn_ = (best + 1) % per_reactor_.size();
  ++per_peer_[peer];
  ++per_reactor_[best];
  ++count_;
  return best;
}

void Admission::leave(const std::string& peer, size_t reactor) {
  const auto known = per_peer_.find(peer);
  WEFT_ASSERT(known != per_peer_.end() && count_ > 0 && per_reactor_[reactor] > 0);
  if (--known->second == 0) per_peer_.erase(known);
  --per_reactor_[reactor];
  --count_;
}

}  // namespace weft::transport
