// Memory for the data of a command that is submitted again and again: lent by the transport where it has any, so that nothing is copied, else of the
// heap. The lender outlives it.
#pragma once
#include <vector>

#include "host/queue.h"

namespace weft::host {

class DataBuffer {
 public:
  /// Requires: size_bytes > 0.
  DataBuffer(MemoryLender& lender, size_t size_bytes) : lender_(lender), bytes_(lender.take_memory(size_bytes)) {
    if (!bytes_.empty()) return;
    own_.resize(size_bytes);
    bytes_ = own_;
  }
  /// Requires: no command uses it.
  ~DataBuffer() {
    if (own_.empty()) lender_.give_back_memory(bytes_);
  }
  DataBuffer(const DataBuffer&) = delete;
  DataBuffer& operator=(const DataBuffer&) = delete;
  std::span<std::byte> bytes() { return bytes_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  MemoryLender& lender_;
  std::vector<std::byte> own_;
  std::span<std::byte> bytes_;
};

}  // namespace weft::host
