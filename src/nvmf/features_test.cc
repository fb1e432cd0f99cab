#include "nvmf/features.h"

#include <gtest/gtest.h>

#include "nvmf/log_pages.h"
#include "nvmf/subsystem.h"

namespace weft::nvmf {
namespace {

using nvme::Feature;
namespace status = nvme::status;

constexpr SubsystemKind kNvm = SubsystemKind::kNvm;
constexpr SubsystemKind kDiscovery = SubsystemKind::kDiscovery;

TEST(Features, KnowsHowMuchDataEachTransfers) {
  EXPECT_EQ(feature_data_length(uint8_t(Feature::kTimestamp)), 8u);
  EXPECT_EQ(feature_data_length(uint8_t(Feature::kHostBehavior)), 512u);
  EXPECT_EQ(feature_data_length(uint8_t(Feature::kHostIdentifier)), 16u);
  EXPECT_EQ(feature_data_length(uint8_t(Feature::kNumberOfQueues)), 0u);
  EXPECT_EQ(feature_data_length(0xff), 0u);
}

TEST(Features, HasTheWriteCacheOnlyWhereThereIsOne) {
  EXPECT_TRUE(has_feature(uint8_t(Feature::kVolatileWriteCache), kNvm));
}

TEST(Features, DiscoveryControllerHasEventsAndKeepAliveOnly) {
  for (unsigned fid = 0; fid < 256; ++fid) {
    const bool is_expected = Feature(fid) == Feature::kAsyncEventConfig || Feature(fid) == Feature::kKeepAliveTimer;
    EXPECT_EQ(has_feature(uint8_t(fid), kDiscovery), is_expected) << fid;
  }
}

TEST(Features, HasNoInterrupts) {
  EXPECT_FALSE(has_feature(uint8_t(Feature::kInterruptCoalescing), kNvm));
  EXPECT_FALSE(has_feature(uint8_t(Feature::kInterruptVector), kNvm));
}

struct ValueCase {
  Feature feature;
  uint32_t value;
  SubsystemKind kind;
  bool is_valid;
};

class FeatureValue : public testing::TestWithParam<ValueCase> {};

TEST_P(FeatureValue, IsChecked) {
  const ValueCase& c = GetParam();
  EXPECT_EQ(check_feature_value(c.feature, c.value, c.kind), c.is_valid ? status::kSuccess : status::kInvalidField);
}

INSTANTIATE_TEST_SUITE_P(
    All, FeatureValue,
    testing::Values(ValueCase{Feature::kAsyncEventConfig, 0, kNvm, true},
                    ValueCase{Feature::kAsyncEventConfig, 1u << 8, kNvm, true},         // namespace attribute
                    ValueCase{Feature::kAsyncEventConfig, 0x13f, kNvm, true},           // with every critical warning
                    ValueCase{Feature::kAsyncEventConfig, 1u << 6, kNvm, false},        // reserved
                    ValueCase{Feature::kAsyncEventConfig, 1u << 11, kNvm, false},       // ANA is off
                    ValueCase{Feature::kAsyncEventConfig, 1u << 31, kNvm, false},       // discovery only
                    ValueCase{Feature::kAsyncEventConfig, 1u << 31, kDiscovery, true},
                    ValueCase{Feature::kAsyncEventConfig, 1u << 8, kDiscovery, false},
                    ValueCase{Feature::kAsyncEventConfig, 1u << 1, kDiscovery, false},
                    ValueCase{Feature::kPowerManagement, 0, kNvm, true},
                    ValueCase{Feature::kPowerManagement, 1, kNvm, false},               // there is one power state
                    ValueCase{Feature::kErrorRecovery, 0xffff, kNvm, true},
                    ValueCase{Feature::kErrorRecovery, 1u << 16, kNvm, false},          // DULBE
                    ValueCase{Feature::kTemperatureThreshold, 350, kNvm, true},
                    ValueCase{Feature::kTemperatureThreshold, 0xf0000 | 350, kNvm, true},   // all sensors
                    ValueCase{Feature::kTemperatureThreshold, 0x100000 | 250, kNvm, true},  // under
                    ValueCase{Feature::kTemperatureThreshold, 0x10000 | 350, kNvm, false},  // there is no sensor 1
                    ValueCase{Feature::kTemperatureThreshold, 0x200000 | 350, kNvm, false},
                    ValueCase{Feature::kArbitration, 0xffffffff, kNvm, true}));

struct BehaviorCase {
  size_t offset;
  uint8_t value;
  bool is_valid;
};

class HostBehavior : public testing::TestWithParam<BehaviorCase> {};

TEST_P(HostBehavior, IsChecked) {
  const BehaviorCase& c = GetParam();
  std::array<std::byte, sizeof(nvme::HostBehavior)> data{};
  data[c.offset] = std::byte{c.value};
  EXPECT_EQ(check_host_behavior(data).ok(), c.is_valid);
}

INSTANTIATE_TEST_SUITE_P(All, HostBehavior,
                         testing::Values(BehaviorCase{0, 1, true}, BehaviorCase{0, 2, false},  // ACRE
                                         BehaviorCase{1, 1, true}, BehaviorCase{1, 2, false},  // ETDAS
                                         BehaviorCase{2, 1, true}, BehaviorCase{2, 2, false},  // LBAFEE
                                         BehaviorCase{3, 1, false}, BehaviorCase{4, 1, false},
                                         BehaviorCase{511, 1, false}, BehaviorCase{511, 0, true}));

TEST(Timestamp, CountsFromTheResetUntilTheHostSetsIt) {
  Features features;
  features.timestamp_since = Instant{} + seconds(100);
  const auto timestamp = timestamp_at(features, Instant{} + seconds(103));
  EXPECT_EQ(uint64_t{timestamp.timestamp_ms}, 3000u);
  EXPECT_EQ(timestamp.attributes, nvme::Timestamp::kOriginReset);
}

TEST(Timestamp, GoesOnFromWhatTheHostSet) {
  Features features;
  features.timestamp_ms = 1'700'000'000'000;
  features.timestamp_since = Instant{} + seconds(5);
  features.is_timestamp_set = true;
  const auto timestamp = timestamp_at(features, Instant{} + milliseconds(5250));
  EXPECT_EQ(uint64_t{timestamp.timestamp_ms}, 1'700'000'000'250u);
  EXPECT_EQ(timestamp.attributes, nvme::Timestamp::kOriginSet);
}

TEST(TemperatureThreshold, IsCriticalAtTheThresholdAndBeyond) {
  Features features;
  EXPECT_FALSE(is_temperature_critical(features));
  features.over_temperature = kCompositeTemperature;
  EXPECT_TRUE(is_temperature_critical(features));
  features.over_temperature = kCompositeTemperature + 1;
  EXPECT_FALSE(is_temperature_critical(features));
  features.under_temperature = kCompositeTemperature;
  EXPECT_TRUE(is_temperature_critical(features));
}

}  // namespace
}  // namespace weft::nvmf
