// The buffers that one ring's receives take: the kernel picks one when bytes have come, so that a connection without any has none.
// Belongs to a UringNet; dies after its ring.
#pragma once
#include <liburing.h>

#include <cstddef>
#include <memory>
#include <span>

#include "base/error.h"

namespace weft::platform {

class ReceiveBuffers {
 public:
  static constexpr size_t kBufferBytes = 8192;  // some hundred commands without data
  static constexpr unsigned kCount = 128;       // a power of two
  static constexpr int kGroup = 0;              // what a receive names them by

  ReceiveBuffers() : pages_(std::make_unique<Page[]>(kRingPages + kCount * kBufferPages)) {}
  /// Registers them with `ring` and hands it all. Errors: kUnsupported before Linux 5.19; kLimit.
  Result<void> give_to(io_uring& ring);
  /// The buffer that the kernel has taken.
  std::span<std::byte> buffer(uint16_t id) { return {pages_[kRingPages + id * kBufferPages].bytes, kBufferBytes}; }
  /// The kernel may take it again.
  void give_back(uint16_t id);

 private:
  static constexpr size_t kPageBytes = 4096;
  struct alignas(kPageBytes) Page {
    std::byte bytes[kPageBytes];
  };
  static constexpr size_t kRingPages = 1;
  static constexpr size_t kBufferPages = kBufferBytes / kPageBytes;
  static_assert(kCount * sizeof(io_uring_buf) <= kRingPages * kPageBytes);
  io_uring_buf_ring* shared() { return reinterpret_cast<io_uring_buf_ring*>(pages_.get()); }  // its head lies in the first entry

  std::unique_ptr<Page[]> pages_;  // the list that is shared with the kernel, then the buffers
};

}  // namespace weft::platform
