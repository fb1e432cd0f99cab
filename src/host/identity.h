// Who a host is: its NQN and its 128-bit identifier.
#pragma once
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/uuid.h"

namespace weft::host {

struct HostIdentity {
  std::string nqn;
  Uuid id;
};

/// The identity "nqn.2014-08.org.nvmexpress:uuid:<id>".
HostIdentity identity_from(const Uuid& id);

/// From what a user gave or /etc/nvme/hostnqn and hostid hold, either of which may be empty: the NQN's own UUID serves as the identifier
/// when it has one, as nvme-cli does; what is still missing comes from `fallback`. Errors: kInvalid, with what is wrong.
Result<HostIdentity> make_identity(std::string_view nqn, std::string_view id, const Uuid& fallback);

}  // namespace weft::host
