// Who may connect: how many connections there are, of each peer and on each reactor. Belongs to the home reactor.
#pragma once
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/limits.h"

namespace weft::transport {

class Admission {
 public:
  Admission(const Limits& limits, size_t reactor_count) : limits_(limits), per_reactor_(reactor_count) {}

  /// The reactor for a new connection of `peer`: the one with the fewest, in turn; none when a cap is reached.
  std::optional<size_t> admit(const std::string& peer);
  /// A connection that was admitted is gone.
  void leave(const std::string& peer, size_t reactor);
  size_t count() const { return count_; }

 private:
  const Limits& limits_;
  std::vector<size_t> per_reactor_;
  std::map<std::string, size_t> per_peer_;  // by address without port
  size_t count_ = 0;
  size_t turn_ = 0;  // where the search starts
};

}  // namespace weft::transport
