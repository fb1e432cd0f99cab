// The changed namespace list (LID 04h) of one controller: which namespaces were added, removed or changed since the host read the page with
// RAE 0. Lives on the controller's reactor. NVM Express Base 2.0 §5.16.1.5.
#pragma once
#include <cstdint>
#include <vector>

#include "wire/nvme/log_pages.h"

namespace weft::nvmf {

class ChangedNamespaces {
 public:
  void add(uint32_t nsid);
  /// The NSIDs ascending, or kNsidAll alone when more have changed than the page holds.
  nvme::ChangedNamespaces page() const;
  void clear();

 private:
  std::vector<uint32_t> nsids_;  // ascending, at most as many as the page holds
  bool has_overflowed_ = false;
};

}  // namespace weft::nvmf
