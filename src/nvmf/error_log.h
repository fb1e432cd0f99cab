// The error information log of one controller: the newest entries first, in a ring. NVMe Base 2.0 §5.16.1.2.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "wire/nvme/log_pages.h"

namespace weft::nvmf {

class Controller;
struct Command;

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

/// Byte of the SQE that is at fault, for fail_command(). Some fields of CDW10 and CDW11 share a dword.
namespace location {
inline constexpr size_t kNsid = 4;
inline constexpr size_t kCdw10 = 40;
inline constexpr size_t kCdw11 = 44;
inline constexpr size_t kCdw12 = 48;
inline constexpr size_t kCdw14 = 56;
}  // namespace location

/// An entry that says which command failed, how, and which byte of it was at fault (nvme::ErrorLogEntry::kNoParameterLocation: none).
nvme::ErrorLogEntry error_entry(const Command& command, nvme::Status status, uint16_t parameter_location);

/// Completes an admin command with an error that repeating it does not cure: sets DNR and More, and adds it to the controller's error log with
/// the byte of the SQE that is at fault. More tells the host, and Queue::complete(), that the error log has it.
void fail_command(Controller& controller, Command& command, nvme::Status status, size_t parameter_location);

}  // namespace weft::nvmf
