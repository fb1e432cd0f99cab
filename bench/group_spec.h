// Connections of one kind, as raw_client's command line describes them: "small,connections=16,depth=1,rw=read,size=4KiB,rate=1000".
#pragma once
#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "bench/workload.h"

namespace weft::bench {

struct GroupSpec {
  std::string name;
  Workload workload;
  size_t connections = 1;
  size_t queue_depth = 32;
  double rate = 0;  // commands per second of all of them together; 0: as fast as they are answered
};

/// What `text` says, and of the rest what `defaults` says. On failure the part that is wrong.
std::expected<GroupSpec, std::string> parse_group(std::string_view text, const GroupSpec& defaults);

}  // namespace weft::bench
