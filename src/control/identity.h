// Names that stay: UUID, NGUID, EUI64 and serial. Those of an NVMe namespace are passed on; others are derived from the machine's id, the subsystem's NQN and
// the medium's own identity, so that they are the same after a restart and differ between two machines with the same configuration.
// Pure functions of their arguments; the machine's id and random bits are brought by app/. Derived by SHA-256 with a
// tag for each purpose, so no name tells another or the machine's id, which must stay secret (machine-id(5)).
#pragma once
#include "base/prng.h"
#include "bdev/identity.h"
#include "control/config.h"
#include "wire/uuid.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::control {

/// The identifiers of one namespace. A medium's own may lack some, which are zeroes; of others none is zero.
struct NamespaceIdentity {
  Uuid uuid;
  std::array<uint8_t, 16> nguid;  // the UUID's bytes
  std::array<uint8_t, 8> eui64;   // locally administered, derived from the UUID

  friend bool operator==(const NamespaceIdentity&, const NamespaceIdentity&) = default;
};

/// Which medium of which subsystem on which machine.
struct MediumPlace {
  std::string_view machine_id;
  std::string_view subsystem_nqn;
  std::string_view medium_id;  // bdev::Info::medium_id
};

/// For a medium that keeps its data. The same place gives the same identity, whatever its NSID. The UUID has version 8
/// (RFC 9562 §5.8). Requires: no member is empty.
NamespaceIdentity derive_identity(const MediumPlace& place);

/// For a medium that starts empty each time (ram, null): a new identity at each call. The UUID has version 4.
/// Requires: `random` was seeded from the kernel's random bits.
NamespaceIdentity random_identity(Prng& random);

/// For a UUID set in the configuration: the same on every machine, as two paths to one namespace need it. Requires: it
/// is not nil.
NamespaceIdentity identity_of(const Uuid& uuid);

/// Which names hosts see of a namespace: those of `configured`, where the configuration has a UUID; else the medium's `own`, as they are; else derived
/// from its place; else new ones. Requires: of `place`, only medium_id may be empty; the others as above.
NamespaceIdentity identity_for(const std::optional<Uuid>& configured, const bdev::Identity& own, const MediumPlace& place, Prng& random);

/// SN of a subsystem: 20 characters. Requires: neither is empty.
std::string derive_serial(std::string_view machine_id, std::string_view subsystem_nqn);

/// SN of `subsystem`, whose names are filled in, when one of its namespaces is on a medium with that identity: that device's, where the subsystem stands
/// for it, with this namespace alone and no serial of its own; else its own.
std::string serial_for(const SubsystemConfig& subsystem, std::string_view machine_id, const bdev::Identity& medium);

/// "nqn.2014-08.org.nvmexpress:uuid:…", one per machine. Requires: the machine's id is not empty.
std::string default_subsystem_nqn(std::string_view machine_id);

/// `config` with the default NQN where a subsystem gives none, and a derived serial where it gives none.
Config with_default_names(Config config, std::string_view machine_id);

}  // namespace weft::control
