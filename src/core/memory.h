// Memory for data: large, aligned regions that pools and RAM disks are made of, from a source that app/ injects (huge pages where there are
// any, plain pages otherwise). Only start-up and the control plane allocate here.
#pragma once
#include <cstddef>
#include <span>
#include <utility>

#include "base/error.h"

namespace weft {

class MemorySource;

/// Owns a mapped region; gives it back when it dies. The source outlives it.
class Region {
 public:
  Region() = default;
  Region(MemorySource& source, std::span<std::byte> bytes) : source_(&source), bytes_(bytes) {}
  Region(Region&& other) noexcept : source_(std::exchange(other.source_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}
  Region& operator=(Region&& other) noexcept {
    std::swap(source_, other.source_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Region();
  std::span<std::byte> bytes() const { return bytes_; }

 private:
  MemorySource* source_ = nullptr;
  std::span<std::byte> bytes_;
};

class MemorySource {
 public:
  virtual ~MemorySource() = default;
  /// At least `size` bytes, zeroed, 4 KiB aligned, touched lazily. Errors: kLimit with what to change. Any thread.
  virtual Result<Region> map(size_t size, std::string_view what) = 0;

 private:
  friend class Region;
  virtual void unmap(std::span<std::byte> bytes) = 0;
};

inline Region::~Region() {
  if (source_ != nullptr) source_->unmap(bytes_);
}

}  // namespace weft
