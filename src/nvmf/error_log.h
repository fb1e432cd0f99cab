// The error information log of one controller: the newest entries first, in a ring. NVMe Base 2.0 §5.16.1.2.
#pragma once
#include <cstdint>
#include <vector>

#include "wire/nvme/log_pages.h"

namespace weft::nvmf {

class ErrorLog {
 public:
  explicit ErrorLog(uint32_t entries_max) : entries_(entries_max) {}
  /// Adds an entry; its error_count is filled in.
  void add(nvme::ErrorLogEntry entry);
  /// The i-th newest, or an entry of zeroes.
  nvme::ErrorLogEntry newest(uint32_t i) const;
  uint32_t capacity() const { return uint32_t(entries_.size()); }
  /// Errors since the controller was created.
  uint64_t count() const { return count_; }

 private:
  std::vector<nvme::ErrorLogEntry> entries_;
  uint64_t count_ = 0;
};

}  // namespace weft::nvmf
