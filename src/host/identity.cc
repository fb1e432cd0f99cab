#include "host/identity.h"

#include <fmt/format.h>

#include "wire/fabrics/connect.h"

namespace weft::host {
namespace {

constexpr std::string_view kUuidNqnPrefix = "nqn.2014-08.org.nvmexpress:uuid:";

}  // namespace

HostIdentity identity_from(const Uuid& id) { return {fmt::format("{}{}", kUuidNqnPrefix, to_text(id)), id}; }

Result<HostIdentity> make_identity(std::string_view nqn, std::string_view id, const Uuid& fallback) {
  Uuid uuid = fallback;
  if (!id.empty()) {
    const auto parsed = parse_uuid(id);
    if (!parsed) return fail(Errc::kInvalid, fmt::format("host identifier \"{}\" is not a UUID", id));
    uuid = *parsed;
  } else if (nqn.starts_with(kUuidNqnPrefix)) {
    if (const auto parsed = parse_uuid(nqn.substr(kUuidNqnPrefix.size()))) uuid = *parsed;
  }
  if (nqn.empty()) return identity_from(uuid);
  if (nqn.size() > fabrics::kNqnLengthMax) return fail(Errc::kInvalid, "the host NQN is longer than 223 bytes");
  return HostIdentity{std::string{nqn}, uuid};
}

}  // namespace weft::host
