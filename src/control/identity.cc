#include "control/identity.h"

#include "base/assert.h"
#include "base/endian.h"

#include <algorithm>
#include <fmt/format.h>
#include <initializer_list>
#include <openssl/evp.h>

namespace weft::control {
namespace {

using Digest = std::array<uint8_t, 32>;

/// SHA-256 of the parts, each after its length, so that no two lists of parts give the same bytes.
Digest digest_of(std::initializer_list<std::string_view> parts) {
  std::string bytes;
  for (const std::string_view part : parts) {
    const le64 length = part.size();
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
    bytes.append(part);
  }
  Digest digest;
  const int done = EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  WEFT_ASSERT(done == 1);
  return digest;
}

/// RFC 9562 §4: version in the high half of byte 6, variant 10b in the top of byte 8; so the UUID is never nil.
Uuid uuid_from(std::span<const uint8_t, 16> bytes, uint8_t version) {
  Uuid uuid;
  std::ranges::copy(bytes, uuid.bytes.begin());
  uuid.bytes[6] = uint8_t((uuid.bytes[6] & 0x0f) | version << 4);
  uuid.bytes[8] = uint8_t((uuid.bytes[8] & 0x3f) | 0x80);
  return uuid;
}

Uuid derived_uuid(const Digest& digest) { return uuid_from(std::span{digest}.first<16>(), 8); }

}  // namespace

NamespaceIdentity derive_identity(const MediumPlace& place) {
  WEFT_ASSERT(!place.machine_id.empty());
  WEFT_ASSERT(!place.subsystem_nqn.empty());
  WEFT_ASSERT(!place.medium_id.empty());
  return identity_of(
      derived_uuid(digest_of({"weft namespace uuid", place.machine_id, place.subsystem_nqn, place.medium_id})));
}

NamespaceIdentity random_identity(Prng& random) {
  std::array<uint8_t, 16> bytes;
  for (size_t at = 0; at < bytes.size(); at += 8) {
    const le64 word = random.next();
    std::memcpy(&bytes[at], &word, sizeof word);
  }
  return identity_of(uuid_from(bytes, 4));
}

NamespaceIdentity identity_of(const Uuid& uuid) {
  WEFT_ASSERT(!uuid.is_nil());
  const Digest digest =
      digest_of({"weft namespace eui64", {reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()}});
  NamespaceIdentity identity{.uuid = uuid, .nguid = uuid.bytes, .eui64 = {}};
  std::copy_n(digest.begin(), identity.eui64.size(), identity.eui64.begin());
  // IEEE 802: bit 1 of the first byte says that no OUI owns the identifier, bit 0 that it is not a group's.
  identity.eui64[0] = uint8_t((identity.eui64[0] & 0xfc) | 0x02);
  return identity;
}

NamespaceIdentity identity_for(const std::optional<Uuid>& configured, const bdev::Identity& own, const MediumPlace& place, Prng& random) {
  if (configured) return identity_of(*configured);
  // Nothing is made up beside them: through another target, or in the machine itself, the namespace has no more names than these.
  if (own.has_id()) return {.uuid = {own.uuid}, .nguid = own.nguid, .eui64 = own.eui64};
  return place.medium_id.empty() ? random_identity(random) : derive_identity(place);
}

std::string derive_serial(std::string_view machine_id, std::string_view subsystem_nqn) {
  WEFT_ASSERT(!machine_id.empty());
  WEFT_ASSERT(!subsystem_nqn.empty());
  const Digest digest = digest_of({"weft subsystem serial", machine_id, subsystem_nqn});
  std::string serial;
  for (const uint8_t byte : std::span{digest}.first<10>()) serial += fmt::format("{:02x}", byte);
  return serial;
}

std::string serial_for(const SubsystemConfig& subsystem, std::string_view machine_id, const bdev::Identity& medium) {
  const bool is_derived = subsystem.serial == derive_serial(machine_id, subsystem.nqn);
  const bool stands_for_device = is_derived && subsystem.namespaces.size() == 1 && !medium.serial.empty();
  return stands_for_device ? medium.serial : subsystem.serial;
}

std::string default_subsystem_nqn(std::string_view machine_id) {
  WEFT_ASSERT(!machine_id.empty());
  return "nqn.2014-08.org.nvmexpress:uuid:" + to_text(derived_uuid(digest_of({"weft subsystem nqn", machine_id})));
}

Config with_default_names(Config config, std::string_view machine_id) {
  for (SubsystemConfig& subsystem : config.subsystems) {
    if (subsystem.nqn.empty()) subsystem.nqn = default_subsystem_nqn(machine_id);
    if (subsystem.serial.empty()) subsystem.serial = derive_serial(machine_id, subsystem.nqn);
  }
  return config;
}

}  // namespace weft::control
