#include "control/identity.h"

#include "wire/fabrics/nqn.h"

#include <gtest/gtest.h>

namespace weft::control {
namespace {

constexpr std::string_view kMachine = "8d3a1f0c5b7e4d2fa6c9b0e1d2c3f4a5";
constexpr std::string_view kNqn = "nqn.2025-01.io.example:a";
constexpr MediumPlace kPlace{kMachine, kNqn, "disk serial 1"};

unsigned version_of(const Uuid& uuid) { return uuid.bytes[6] >> 4; }
unsigned variant_of(const Uuid& uuid) { return uuid.bytes[8] >> 6; }

TEST(Identity, IsTheSameAfterARestart) { EXPECT_EQ(derive_identity(kPlace), derive_identity(kPlace)); }

// The value is fixed: a release that derives another one would show hosts a different disk.
TEST(Identity, IsTheSameInEveryRelease) {
  EXPECT_EQ(to_text(derive_identity(kPlace).uuid), "3663bc21-c495-8de3-accf-560308b936cd");
  EXPECT_EQ(derive_serial(kMachine, kNqn), "9db0655d9e4af98b2eda");
  EXPECT_EQ(default_subsystem_nqn(kMachine), "nqn.2014-08.org.nvmexpress:uuid:14a7b7e8-d4e3-8231-bcdd-125d95c56b2c");
}

TEST(Identity, DiffersWhenAnyPartOfThePlaceDiffers) {
  const NamespaceIdentity here = derive_identity(kPlace);
  const MediumPlace others[] = {{"another machine", kNqn, kPlace.medium_id},
                                {kMachine, "nqn.2025-01.io.example:b", kPlace.medium_id},
                                {kMachine, kNqn, "disk serial 2"},
                                {kMachine, "nqn.2025-01.io.example:ad", "isk serial 1"}};
  for (const MediumPlace& place : others) {
    const NamespaceIdentity there = derive_identity(place);
    EXPECT_NE(there.uuid, here.uuid) << place.medium_id;
    EXPECT_NE(there.nguid, here.nguid) << place.medium_id;
    EXPECT_NE(there.eui64, here.eui64) << place.medium_id;
  }
}

TEST(Identity, HasTheFormsOfTheirStandards) {
  const NamespaceIdentity derived = derive_identity(kPlace);
  EXPECT_EQ(version_of(derived.uuid), 8u);
  EXPECT_EQ(variant_of(derived.uuid), 2u);
  EXPECT_EQ(derived.nguid, derived.uuid.bytes);
  EXPECT_EQ(derived.eui64[0] & 0x03, 0x02);  // locally administered, not a group
}

TEST(Identity, RandomOnesDifferFromOneAnother) {
  Prng random{1};
  const NamespaceIdentity first = random_identity(random);
  const NamespaceIdentity second = random_identity(random);
  EXPECT_NE(first.uuid, second.uuid);
  EXPECT_NE(first.eui64, second.eui64);
  EXPECT_EQ(version_of(first.uuid), 4u);
  EXPECT_EQ(variant_of(first.uuid), 2u);
}

TEST(Identity, OfAConfiguredUuidKeepsItAsItIs) {
  const Uuid uuid = parse_uuid("00000000-0000-0000-0000-000000000001").value();
  const NamespaceIdentity identity = identity_of(uuid);
  EXPECT_EQ(identity.uuid, uuid);
  EXPECT_EQ(identity.nguid, uuid.bytes);
  EXPECT_EQ(identity.eui64[0] & 0x03, 0x02);
  EXPECT_EQ(identity, identity_of(uuid));
}

TEST(Identity, OfAMediumIsTheConfiguredOneOrItsOwnOrDerivedOrNew) {
  Prng random{1};
  const Uuid configured = parse_uuid("00000000-0000-0000-0000-000000000001").value();
  const bdev::Identity own{.uuid = {}, .nguid = {1}, .eui64 = {2}, .serial = "S1"};
  EXPECT_EQ(identity_for(configured, own, kPlace, random), identity_of(configured));
  EXPECT_EQ(identity_for({}, own, kPlace, random), (NamespaceIdentity{.uuid = {}, .nguid = {1}, .eui64 = {2}}));
  // A serial alone is the device's, which may have several namespaces.
  EXPECT_EQ(identity_for({}, {.serial = "S1"}, kPlace, random), derive_identity(kPlace));
  const MediumPlace nowhere{kMachine, kNqn, ""};
  EXPECT_NE(identity_for({}, {}, nowhere, random), identity_for({}, {}, nowhere, random));
}

TEST(Identity, SerialFillsItsFieldAndDiffersBySubsystemAndMachine) {
  const std::string serial = derive_serial(kMachine, kNqn);
  EXPECT_EQ(serial.size(), 20u);
  EXPECT_NE(serial, derive_serial(kMachine, "nqn.2025-01.io.example:b"));
  EXPECT_NE(serial, derive_serial("another machine", kNqn));
}

TEST(Identity, ASubsystemOfOneDeviceHasItsSerial) {
  Config config;
  config.subsystems = {{.nqn = std::string{kNqn}, .namespaces = {{}}}};
  const SubsystemConfig one = with_default_names(config, kMachine).subsystems[0];
  EXPECT_EQ(serial_for(one, kMachine, {.serial = "S1"}), "S1");
  EXPECT_EQ(serial_for(one, kMachine, {}), derive_serial(kMachine, kNqn));
  SubsystemConfig two = one;
  two.namespaces.resize(2);
  EXPECT_EQ(serial_for(two, kMachine, {.serial = "S1"}), two.serial);
  SubsystemConfig named = one;
  named.serial = "MINE";
  EXPECT_EQ(serial_for(named, kMachine, {.serial = "S1"}), "MINE");
}

TEST(Identity, DefaultNqnIsValidAndBelongsToTheMachine) {
  EXPECT_TRUE(fabrics::is_valid_nqn(default_subsystem_nqn(kMachine)));
  EXPECT_NE(default_subsystem_nqn(kMachine), default_subsystem_nqn("another machine"));
}

TEST(Identity, FillsOnlyTheNamesThatAreNotGiven) {
  Config config;
  config.subsystems = {{.nqn = "", .serial = ""}, {.nqn = std::string{kNqn}, .serial = "MINE"}};
  const Config named = with_default_names(config, kMachine);
  EXPECT_EQ(named.subsystems[0].nqn, default_subsystem_nqn(kMachine));
  EXPECT_EQ(named.subsystems[0].serial, derive_serial(kMachine, named.subsystems[0].nqn));
  EXPECT_EQ(named.subsystems[1].nqn, kNqn);
  EXPECT_EQ(named.subsystems[1].serial, "MINE");
}

}  // namespace
}  // namespace weft::control
