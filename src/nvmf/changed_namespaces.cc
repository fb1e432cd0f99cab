#include "nvmf/changed_namespaces.h"

#include <algorithm>

namespace weft::nvmf {

void ChangedNamespaces::add(uint32_t nsid) {
  const auto place = std::ranges::lower_bound(nsids_, nsid);
  if (place != nsids_.end() && *place == nsid) return;
  if (nsids_.size() == nvme::ChangedNamespaces{}.nsid.size()) {
    has_overflowed_ = true;
  } else {
    nsids_.insert(place, nsid);
  }
}

nvme::ChangedNamespaces ChangedNamespaces::page() const {
  nvme::ChangedNamespaces page{};
  if (has_overflowed_) {
    page.nsid[0] = nvme::kNsidAll;
  } else {
    std::ranges::copy(nsids_, page.nsid.begin());
  }
  return page;
}

void ChangedNamespaces::clear() {
  nsids_.clear();
  has_overflowed_ = false;
}

}  // namespace weft::nvmf
