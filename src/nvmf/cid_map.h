// Which slot a command identifier is in: open addressing with linear probing over slot indexes; the CIDs themselves stay in the commands'
// SQEs. At most half full. Deletion moves later entries up, so there are no tombstones.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"

namespace weft::nvmf {

class CidMap {
 public:
  static constexpr uint16_t kNone = 0xffff;

  /// Empties the map and makes room for `entries`.
  void reset(uint32_t entries) {
    size_t size = 4;
    while (size < 2 * size_t{entries}) size *= 2;
    table_.assign(size, Entry{0, kNone});
  }
  /// The slot of `cid`, or kNone.
  uint16_t find(uint16_t cid) const {
    for (size_t i = home(cid);; i = (i + 1) & mask()) {
      if (table_[i].slot == kNone || table_[i].cid == cid) return table_[i].slot;
    }
  }
  /// Requires: find(cid) == kNone.
  void insert(uint16_t cid, uint16_t slot) {
    size_t i = home(cid);
    while (table_[i].slot != kNone) i = (i + 1) & mask();
    table_[i] = {cid, slot};
  }
  /// Requires: `cid` is in the map.
  void erase(uint16_t cid) {
    size_t hole = home(cid);
    while (table_[hole].cid != cid || table_[hole].slot == kNone) {
      WEFT_ASSERT(table_[hole].slot != kNone);
      hole = (hole + 1) & mask();
    }
    for (size_t i = (hole + 1) & mask(); table_[i].slot != kNone; i = (i + 1) & mask()) {
      // An entry may move up into the hole if its home is not between the hole (exclusive) and itself.
      const size_t distance_from_home = (i - home(table_[i].cid)) & mask();
      const size_t distance_from_hole = (i - hole) & mask();
      if (distance_from_home < distance_from_hole) continue;
      table_[hole] = table_[i];
      hole = i;
    }
    table_[hole].slot = kNone;
  }

 private:
  struct Entry {
    uint16_t cid;
    uint16_t slot;
  };
  size_t mask() const { return table_.size() - 1; }
  size_t home(uint16_t cid) const { return (cid * 0x9e37u >> 3) & mask(); }
  std::vector<Entry> table_;
};

}  // namespace weft::nvmf
