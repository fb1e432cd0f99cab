// Why a Connect failed, in words for people.
#pragma once
#include <string>
#include <string_view>

#include "wire/fabrics/connect.h"
#include "wire/nvme/command.h"

namespace weft::host {

/// Why a Connect failed, decoded as a Linux host does: the offending field from IPO and IATTR, and what to do about it.
std::string connect_failure_text(const nvme::Cqe& cqe, std::string_view subnqn, std::string_view hostnqn);

}  // namespace weft::host
