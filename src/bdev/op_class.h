// Which operations a filter is about.
#pragma once
#include "base/assert.h"
#include "bdev/io.h"

namespace weft::bdev {

enum class OpClass : uint8_t { kAny, kRead, kWrite, kFlush };  // kWrite: everything that changes blocks

inline OpClass class_of(Op op) {
  switch (op) {
    case Op::kRead:
    case Op::kCompare:
    case Op::kVerify: return OpClass::kRead;
    case Op::kWrite:
    case Op::kWriteZeroes:
    case Op::kDeallocate:
    case Op::kCopy: return OpClass::kWrite;
    case Op::kFlush: return OpClass::kFlush;
  }
  WEFT_ASSERT(false);
  return OpClass::kAny;
}

inline bool matches(OpClass wanted, Op op) { return wanted == OpClass::kAny || wanted == class_of(op); }

}  // namespace weft::bdev
