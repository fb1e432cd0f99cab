// What tests of block devices use: a submitter that waits, and counts completions. Not part of any library.
#pragma once
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <vector>

#include "bdev/bdev.h"
#include "core/reactor.h"

namespace weft::bdev::testing_support {

/// An Io that remembers how it ended, and fails the test when it ends twice.
struct TestIo : Io {
  std::optional<nvme::Status> result;
  TestIo(Op operation, uint64_t first, uint64_t count, std::span<std::byte> bytes) {
    op = operation;
    block = first;
    block_count = count;
    data = bytes;
    on_done = [](Io& io, nvme::Status status) {
      auto& self = static_cast<TestIo&>(io);
      EXPECT_FALSE(self.result.has_value()) << "an I/O ended twice";
      self.result = status;
    };
  }
};

/// Runs cycles until `is_done()`, for at most a minute of real time.
template <std::predicate F>
void run_until(Reactor& reactor, F is_done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!is_done()) {
    reactor.run_once();
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "nothing came in a minute";
      return;
    }
  }
}

inline nvme::Status execute(Reactor& reactor, Channel& channel, TestIo& io) {
  channel.submit(io);
  run_until(reactor, [&] { return io.result.has_value(); });
  return io.result.value_or(nvme::status::kInternalError);
}

inline nvme::Status execute(Reactor& reactor, Channel& channel, Op op, uint64_t block, uint64_t count, std::span<std::byte> data = {}) {
  TestIo io{op, block, count, data};
  return execute(reactor, channel, io);
}

/// Memory at a multiple of 4096, or `offset` bytes behind one.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size, size_t offset = 0) : storage_(size + 4096 + offset), size_(size) {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    start_ = storage_.data() + (4096 - address % 4096) % 4096 + offset;
  }
  std::span<std::byte> bytes() { return {start_, size_}; }

 private:
  std::vector<std::byte> storage_;
  size_t size_;
  std::byte* start_;
};

/// Every block says which it is and what wrote it.
inline void stamp(std::span<std::byte> data, uint64_t first_block, uint32_t block_size, uint64_t seed) {
  for (size_t i = 0; i < data.size(); i += sizeof(uint64_t)) {
    const uint64_t word = (first_block + i / block_size) * 0x9e3779b97f4a7c15 + seed * 1000003 + i % block_size;
    std::memcpy(data.data() + i, &word, sizeof word);
  }
}

inline bool is_stamped(std::span<const std::byte> data, uint64_t first_block, uint32_t block_size, uint64_t seed) {
  std::vector<std::byte> expected(data.size());
  stamp(expected, first_block, block_size, seed);
  return std::memcmp(expected.data(), data.data(), data.size()) == 0;
}

inline bool is_zero(std::span<const std::byte> data) {
  return data.empty() || (data[0] == std::byte{0} && std::memcmp(data.data(), data.data() + 1, data.size() - 1) == 0);
}

}  // namespace weft::bdev::testing_support
