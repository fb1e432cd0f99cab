#include "sim/volume_access.h"

#include "base/assert.h"

#include <fmt/format.h>

namespace weft::sim {
namespace {

const char* name_of(AccessKind kind) {
  switch (kind) {
    case AccessKind::kRead: return "Read";
    case AccessKind::kWrite: return "Write";
    case AccessKind::kWriteZeroes: return "Write Zeroes";
    case AccessKind::kDeallocate: return "Deallocate";
    case AccessKind::kCompare: return "Compare";
    case AccessKind::kFused: return "Compare and Write";
    case AccessKind::kVerify: return "Verify";
    case AccessKind::kCopy: return "Copy";
    case AccessKind::kFlush: return "Flush";
  }
  return "";
}

}  // namespace

uint64_t Access::block_count() const {
  uint64_t count = 0;
  for (const Blocks& range : ranges) count += range.count;
  return count;
}

uint64_t Access::source(uint64_t index) const {
  for (const Blocks& range : ranges) {
    if (index < range.count) return range.first + index;
    index -= range.count;
  }
  WEFT_ASSERT(!"the index is within the command");
  return 0;
}

bool Access::changes_blocks() const {
  switch (kind) {
    case AccessKind::kWrite:
    case AccessKind::kWriteZeroes:
    case AccessKind::kDeallocate:
    case AccessKind::kFused:
    case AccessKind::kCopy: return true;
    case AccessKind::kRead:
    case AccessKind::kCompare:
    case AccessKind::kVerify:
    case AccessKind::kFlush: return false;
  }
  return false;
}

bool Access::reads_blocks() const {
  switch (kind) {
    case AccessKind::kRead:
    case AccessKind::kCompare:
    case AccessKind::kFused:
    case AccessKind::kCopy: return true;
    case AccessKind::kWrite:
    case AccessKind::kWriteZeroes:
    case AccessKind::kDeallocate:
    case AccessKind::kVerify:
    case AccessKind::kFlush: return false;
  }
  return false;
}

std::string to_text(const Access& access) {
  std::string text = fmt::format("{} {} of host {}", name_of(access.kind), access.id, access.host);
  for (const Blocks& range : access.ranges) text += fmt::format(" [{}+{}]", range.first, range.count);
  if (access.kind == AccessKind::kCopy) text += fmt::format(" to {}", access.target);
  if (access.stability == Stability::kStable) text += " stable";
  return text;
}

}  // namespace weft::sim
