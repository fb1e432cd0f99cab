#include "host/chunk_ledger.h"

#include "base/assert.h"

namespace weft::host {

uint64_t ChunkLedger::acquire(uint64_t wanted) {
  WEFT_ASSERT(wanted < entries_.size());
  for (uint64_t tried = 0; tried < entries_.size(); ++tried) {
    const uint64_t chunk = wanted + tried < entries_.size() ? wanted + tried : wanted + tried - entries_.size();
    if ((entries_[chunk] & kBusy) != 0) continue;
    entries_[chunk] |= kBusy;
    return chunk;
  }
  WEFT_ASSERT(false);  // see the contract
  return 0;
}

}  // namespace weft::host
