// A filter for tests: operations of one class reach the device below only after a time. Several stack.
#pragma once
#include <memory>

#include "base/time.h"
#include "bdev/bdev.h"
#include "bdev/op_class.h"

namespace weft::bdev {

struct DelayRule {
  OpClass op = OpClass::kAny;
  Duration delay{};
};

/// `below` as it is, but later; the order of what is delayed is kept. Lends no memory, and takes no write in place, where the rule forbids it.
std::unique_ptr<Bdev> make_delay(std::unique_ptr<Bdev> below, const DelayRule& rule);

}  // namespace weft::bdev
