#include "nvmf/log_pages.h"

#include <gtest/gtest.h>

#include "nvmf/features.h"
#include "nvmf/identify.h"
#include "nvmf/subsystem.h"
#include "wire/fabrics/discovery.h"
#include "wire/text_field.h"

namespace weft::nvmf {
namespace {

constexpr SubsystemKind kNvm = SubsystemKind::kNvm;
constexpr SubsystemKind kDiscovery = SubsystemKind::kDiscovery;

TEST(SupportedLogPages, NamesExactlyThePagesThatAreThere) {
  for (const SubsystemKind kind : {kNvm, kDiscovery}) {
    const auto page = supported_log_pages_page(kind);
    for (unsigned lid = 0; lid < 256; ++lid) {
      EXPECT_EQ((page.lid[lid] & nvme::SupportedLogPages::kLsupp) != 0, has_log_page(uint8_t(lid), kind)) << lid;
    }
  }
}

TEST(SupportedLogPages, HasThePagesThatLpaPromises) {
  for (const SubsystemKind kind : {kNvm, kDiscovery}) {
    for (const uint8_t lid : {0x00, 0x05, 0x12, 0x13}) EXPECT_TRUE(has_log_page(lid, kind)) << int{lid};
  }
}

TEST(SupportedLogPages, OffersThePortLocalDiscoveryLogOnDiscoveryControllersOnly) {
  EXPECT_EQ(uint32_t{supported_log_pages_page(kDiscovery).lid[0x70]}, 1u | uint32_t{fabrics::kLspPortLocal} << 16);
  EXPECT_EQ(uint32_t{supported_log_pages_page(kNvm).lid[0x70]}, 0u);
  EXPECT_FALSE(has_log_page(0x04, kDiscovery));
}

TEST(CommandEffects, SaysWhichCommandsChangeBlocks) {
  const auto page = command_effects_page(kNvm);
  constexpr uint32_t kSupported = nvme::CommandEffects::kCsupp;
  for (const uint8_t opcode : {0x01, 0x08, 0x09, 0x19}) {
    EXPECT_EQ(uint32_t{page.iocs[opcode]}, kSupported | nvme::CommandEffects::kLbcc) << int{opcode};
  }
  for (const uint8_t opcode : {0x00, 0x02, 0x05, 0x0c}) EXPECT_EQ(uint32_t{page.iocs[opcode]}, kSupported) << int{opcode};
  EXPECT_EQ(uint32_t{page.iocs[0x04]}, 0u);  // Write Uncorrectable
  EXPECT_EQ(uint32_t{page.acs[0x06]}, kSupported);
  EXPECT_EQ(uint32_t{page.acs[0x01]}, 0u);  // Create I/O Submission Queue: not over fabrics
}

TEST(CommandEffects, OfADiscoveryControllerHasNoIoCommands) {
  for (const auto effects : command_effects_page(kDiscovery).iocs) EXPECT_EQ(effects, 0u);
}

TEST(FeatureEffects, NamesExactlyTheFeaturesThatAreThere) {
  const auto page = feature_effects_page(kNvm);
  for (unsigned fid = 0; fid < 256; ++fid) {
    EXPECT_EQ((page.fid[fid] & nvme::FeatureEffects::kFsupp) != 0, has_feature(uint8_t(fid), kNvm)) << fid;
  }
}

TEST(FirmwareSlot, HoldsTheRevisionThatIdentifyShows) {
  const auto page = firmware_slot_page();
  EXPECT_EQ(page.afi, 1);
  EXPECT_EQ(text_of(page.frs[0]), kFirmwareRevision);
  EXPECT_EQ(page.frs[1][0], '\0');
}

TEST(Smart, RoundsDataUnitsUp) {
  Health health;
  health.totals.read_bytes = 1;
  health.totals.written_bytes = 512'001;
  const auto page = smart_page(health, Features{});
  EXPECT_EQ(uint64_t{page.data_units_read.low}, 1u);
  EXPECT_EQ(uint64_t{page.data_units_written.low}, 2u);
}

TEST(Smart, SumsTheCountersOfAllShards) {
  std::vector<NamespaceCounters> counters(2);
  counters[0].reads.add(3);
  counters[1].reads.add(4);
  counters[1].writes.add(5);
  counters[0].media_errors.add(1);
  Health health;
  health.totals.add(counters);
  const auto page = smart_page(health, Features{});
  EXPECT_EQ(uint64_t{page.host_read_commands.low}, 7u);
  EXPECT_EQ(uint64_t{page.host_write_commands.low}, 5u);
  EXPECT_EQ(uint64_t{page.media_errors.low}, 1u);
}

TEST(Smart, CountsWholeHours) {
  EXPECT_EQ(smart_page({.uptime = seconds(7199)}, Features{}).power_on_hours.low, 1u);
}

TEST(Smart, WarnsOnlyWhenThereIsAReason) {
  EXPECT_EQ(smart_page({}, Features{}).critical_warning, 0);
  EXPECT_EQ(smart_page({.is_degraded = true}, Features{}).critical_warning, nvme::kWarningReliability);
  Features features;
  features.over_temperature = kCompositeTemperature;
  EXPECT_EQ(smart_page({}, features).critical_warning, nvme::kWarningTemperature);
}

}  // namespace
}  // namespace weft::nvmf
