// NVMe devices of this machine for the block device suites, as an environment variable names them: DEVICE=BLOCK_SIZE ... What is on them is lost;
// WEFT_NVME_BYTES says how large each one is.
#pragma once
#include "tests/conformance/bdev_conformance.h"

#include <cstdlib>
#include <sstream>

namespace weft::conformance {

/// Zeroes everything, as on a new one. `reactor` is the caller's.
inline Result<void> make_blank(bdev::Bdev& device, Reactor& reactor) {
  auto channel = device.open_channel(reactor);
  if (!channel) return std::unexpected(channel.error());
  TestIo io{Op::kWriteZeroes, 0, device.info().block_count, {}};
  (*channel)->submit(io);
  while (!io.result) reactor.run_once();
  if (!io.result->ok()) return fail(Errc::kIo, "the device cannot be zeroed");
  return {};
}

inline uint64_t real_device_bytes() { return std::strtoull(std::getenv("WEFT_NVME_BYTES"), nullptr, 10); }

/// A kind for each, PREFIX512 and so on: E is made with its name.
template <std::derived_from<Environment> E>
std::vector<Kind> real_kinds(const char* variable, const std::string& prefix) {
  const char* text = std::getenv(variable);
  std::vector<Kind> kinds;
  std::istringstream words{text == nullptr ? "" : text};
  for (std::string word; words >> word;) {
    const size_t at = word.find('=');
    const std::string device = word.substr(0, at);
    const std::string block_size = word.substr(at + 1);
    kinds.push_back({prefix + block_size, uint32_t(std::stoul(block_size)), [device] { return std::make_unique<E>(device); }});
  }
  return kinds;
}

}  // namespace weft::conformance
