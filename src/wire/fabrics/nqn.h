// NVMe Qualified Names. NVM Express Base 2.0 §4.5.
#pragma once
#include <string_view>

namespace weft::fabrics {

/// True for a well-formed NQN: at most 223 bytes of printable UTF-8 in one of the two forms
///   nqn.2014-08.org.nvmexpress:uuid:<uuid>
///   nqn.<yyyy>-<mm>.<reverse domain>[:<name>]
/// For names that this side is configured with. Hosts in use send other ones, so what a peer sends is compared, not
/// judged by this.
bool is_valid_nqn(std::string_view nqn);

}  // namespace weft::fabrics
