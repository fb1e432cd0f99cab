// Admin commands from a host's side: Identify, Get Log Page, Get and Set Features, asynchronous events, on NVM and discovery controllers.
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "nvmf/identify.h"
#include "nvmf/test_host.h"
#include "wire/fabrics/discovery.h"
#include "wire/text_field.h"

namespace weft::nvmf {
namespace {

using nvme::Cns;
using nvme::Feature;
using testing_support::Answer;
using testing_support::page_of;
namespace status = nvme::status;

/// A RAM disk that says it has a volatile cache.
class CachedDisk final : public bdev::Bdev {
 public:
  explicit CachedDisk(std::unique_ptr<bdev::Bdev> disk) : disk_(std::move(disk)), info_(disk_->info()) { info_.has_volatile_cache = true; }
  const bdev::Info& info() const override { return info_; }
  Result<std::unique_ptr<bdev::Channel>> open_channel(Reactor& reactor) override { return disk_->open_channel(reactor); }

 private:
  std::unique_ptr<bdev::Bdev> disk_;
  bdev::Info info_;
};

class AdminTest : public testing_support::TargetTest {
 protected:
  std::unique_ptr<bdev::Bdev> cached_disk() { return std::make_unique<CachedDisk>(bdev::make_ram(memory_, "ram", 1024, 512).value()); }
  uint16_t request_event() {
    const uint16_t cid = start(admin(nvme::AdminOpcode::kAsyncEventRequest));
    run();
    return cid;
  }
  nvme::ErrorLogEntry newest_error() { return page_of<nvme::ErrorLogEntry>(get_log({.lid = 0x01, .length = 64})); }
};

#define EXPECT_PERMANENT(answer, expected)                                            \
  do {                                                                                \
    const nvme::Status got = (answer).status;                                         \
    EXPECT_TRUE(got.is(expected)) << "got " << name_of(got) << ", not " << name_of(expected); \
    EXPECT_TRUE(got.dnr());                                                           \
  } while (false)

// --- Identify -----------------------------------------------------------------------------------------------------------------------------

TEST_F(AdminTest, IdentifyControllerHasTheCntlidOfTheConnect) {
  connect();
  const Answer answer = identify(Cns::kController);
  ASSERT_TRUE(answer.status.ok());
  EXPECT_EQ(uint16_t{page_of<nvme::IdentifyController>(answer).cntlid}, cntlid_);
}

TEST_F(AdminTest, AnnouncesTheWriteCacheBeforeANamespaceHasOne) {
  connect();
  EXPECT_EQ(page_of<nvme::IdentifyController>(identify(Cns::kController)).vwc, nvme::kVwcFlushAllSupported | nvme::kVwcPresent);
  EXPECT_EQ(get_feature(Feature::kVolatileWriteCache).result, 1u);
  add_namespace(2, cached_disk());
  EXPECT_EQ(get_feature(Feature::kVolatileWriteCache).result, 1u);
}

TEST_F(AdminTest, IdentifyOfANamespaceThatIsNotThereIsZeroes) {
  connect();
  add_ram(1);
  for (const Cns cns : {Cns::kNamespace, Cns::kIocsNamespace, Cns::kIndependentNamespace, Cns::kAllocatedNamespace}) {
    const Answer answer = identify(cns, 2);
    ASSERT_TRUE(answer.status.ok()) << int(cns);
    EXPECT_EQ(answer.data, std::vector<std::byte>(nvme::kIdentifySize)) << int(cns);
  }
  EXPECT_EQ(uint64_t{page_of<nvme::IdentifyNamespace>(identify(Cns::kNamespace, 1)).nsze}, 1024u);
}

TEST_F(AdminTest, IdentifyOfAnNsidOutOfRangeIsRefused) {
  connect();
  for (const uint32_t nsid : {0u, 65u, nvme::kNsidAll}) {
    for (const Cns cns : {Cns::kNamespace, Cns::kIocsNamespace, Cns::kIndependentNamespace, Cns::kNamespaceDescriptors,
                          Cns::kControllersOfNamespace}) {
      EXPECT_PERMANENT(identify(cns, nsid), status::kInvalidNamespace);
    }
  }
}

TEST_F(AdminTest, ListsNamespacesAboveTheOneGiven) {
  connect();
  for (const uint32_t nsid : {1u, 3u, 9u}) add_ram(nsid);
  for (const Cns cns : {Cns::kActiveNamespaces, Cns::kIocsActiveNamespaces, Cns::kAllocatedNamespaces}) {
    const Answer answer = identify(cns, 1);
    const auto& list = page_of<nvme::NamespaceList>(answer);
    EXPECT_EQ(uint32_t{list.nsid[0]}, 3u);
    EXPECT_EQ(uint32_t{list.nsid[1]}, 9u);
    EXPECT_EQ(uint32_t{list.nsid[2]}, 0u);
  }
  EXPECT_PERMANENT(identify(Cns::kActiveNamespaces, 0xfffffffe), status::kInvalidNamespace);
}

TEST_F(AdminTest, ListsControllersWithItself) {
  connect();
  add_ram(1);
  const Answer all = identify(Cns::kControllers);
  EXPECT_EQ(uint32_t{page_of<nvme::ControllerList>(all).count}, 1u);
  EXPECT_EQ(uint16_t{page_of<nvme::ControllerList>(all).cntlid[0]}, cntlid_);
  EXPECT_EQ(uint32_t{page_of<nvme::ControllerList>(identify(Cns::kControllers, 0, 0, uint16_t(cntlid_ + 1))).count}, 0u);
  EXPECT_EQ(uint32_t{page_of<nvme::ControllerList>(identify(Cns::kControllersOfNamespace, 1)).count}, 1u);
  EXPECT_EQ(uint32_t{page_of<nvme::ControllerList>(identify(Cns::kControllersOfNamespace, 2)).count}, 0u);
}

TEST_F(AdminTest, KnowsOnlyTheNvmCommandSet) {
  connect();
  add_ram(1);
  constexpr uint32_t kZoned = 2u << 24;
  for (const Cns cns : {Cns::kIocsNamespace, Cns::kIocsController, Cns::kIocsActiveNamespaces}) {
    EXPECT_TRUE(identify(cns, 1).status.ok()) << int(cns);
    EXPECT_PERMANENT(identify(cns, 1, kZoned), status::kInvalidField);
  }
  EXPECT_EQ(uint64_t{page_of<nvme::IocsCombinations>(identify(Cns::kIocsCombinations)).vector[0]}, 1u);
}

TEST_F(AdminTest, RefusesACnsItDoesNotHaveAndLogsWhereTheErrorIs) {
  connect();
  EXPECT_PERMANENT(identify(Cns(0xfe)), status::kInvalidField);
  const uint16_t cid = uint16_t(next_cid_ - 1);
  const nvme::ErrorLogEntry error = newest_error();
  EXPECT_EQ(uint64_t{error.error_count}, 1u);
  EXPECT_EQ(uint16_t{error.cid}, cid);
  EXPECT_EQ(error.opcode, 0x06);
  EXPECT_EQ(uint32_t{error.parameter_error_location}, 40u);
  EXPECT_TRUE(nvme::Status::from_cqe(error.status_field).is(status::kInvalidField));
}

// --- log pages ----------------------------------------------------------------------------------------------------------------------------

TEST_F(AdminTest, ReadsAPageInParts) {
  connect();
  const Answer whole = get_log({.lid = 0x05, .length = 4096});
  ASSERT_TRUE(whole.status.ok());
  const Answer part = get_log({.lid = 0x05, .length = 512, .offset = 1020});
  ASSERT_TRUE(part.status.ok());
  EXPECT_TRUE(std::ranges::equal(part.data, std::span(whole.data).subspan(1020, 512)));
}

TEST_F(AdminTest, FillsUpWithZeroesBehindThePage) {
  connect();
  const Answer answer = get_log({.lid = 0x00, .length = 2048});
  ASSERT_TRUE(answer.status.ok());
  ASSERT_EQ(answer.data.size(), 2048u);
  EXPECT_TRUE(std::ranges::all_of(std::span(answer.data).subspan(1024), [](std::byte b) { return b == std::byte{0}; }));
  const Answer longer = get_log({.lid = 0x00, .length = 4, .buffer = 4096});
  EXPECT_EQ(longer.data[0], std::byte{1});
  EXPECT_TRUE(std::ranges::all_of(std::span(longer.data).subspan(4), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_F(AdminTest, TakesOffsetsUpToTheEndOfThePage) {
  connect();
  EXPECT_TRUE(get_log({.lid = 0x02, .length = 4, .offset = 512}).status.ok());
  EXPECT_PERMANENT(get_log({.lid = 0x02, .length = 4, .offset = 516}), status::kInvalidField);
  EXPECT_PERMANENT(get_log({.lid = 0x02, .length = 4, .offset = uint64_t{1} << 32}), status::kInvalidField);
  EXPECT_PERMANENT(get_log({.lid = 0x02, .length = 4, .offset = 2}), status::kInvalidField);
}

TEST_F(AdminTest, RefusesIndexesAndPagesItDoesNotHave) {
  connect();
  EXPECT_PERMANENT(get_log({.lid = 0x02, .length = 4, .cdw14 = 1u << 23}), status::kInvalidField);
  EXPECT_PERMANENT(get_log({.lid = 0x05, .length = 4, .cdw14 = 2u << 24}), status::kInvalidField);
  for (const uint8_t lid : {0x06, 0x0c, 0x70, 0xc0}) EXPECT_PERMANENT(get_log({.lid = lid, .length = 4}), status::kInvalidField);
}

TEST_F(AdminTest, HasASmartLogPerNamespace) {
  connect();
  add_ram(1);
  add_ram(2);
  subsystem_->namespaces().at(1)->counters(0).reads.add(2);
  subsystem_->namespaces().at(2)->counters(1).reads.add(3);
  const auto reads = [&](uint32_t nsid) {
    return uint64_t{page_of<nvme::SmartLog>(get_log({.lid = 0x02, .length = 512, .nsid = nsid})).host_read_commands.low};
  };
  EXPECT_EQ(reads(nvme::kNsidAll), 5u);
  EXPECT_EQ(reads(0), 5u);
  EXPECT_EQ(reads(2), 3u);
  EXPECT_PERMANENT(get_log({.lid = 0x02, .length = 512, .nsid = 3}), status::kInvalidField);
}

TEST_F(AdminTest, CountsPowerOnHoursFromTheStartOfTheTarget) {
  clock_.advance(seconds(2 * 3600 + 1));
  run();
  connect();
  EXPECT_EQ(uint64_t{page_of<nvme::SmartLog>(get_log({.lid = 0x02, .length = 512})).power_on_hours.low}, 2u);
}

TEST_F(AdminTest, ForgetsChangedNamespacesWhenTheHostHasReadThem) {
  connect();
  add_ram(5);
  const auto first = [&](bool rae) {
    return uint32_t{page_of<nvme::ChangedNamespaces>(get_log({.lid = 0x04, .length = 4096, .rae = rae})).nsid[0]};
  };
  EXPECT_EQ(first(true), 5u);
  EXPECT_EQ(first(false), 5u);
  EXPECT_EQ(first(false), 0u);
}

// --- asynchronous events ------------------------------------------------------------------------------------------------------------------

TEST_F(AdminTest, ReportsAChangedNamespaceOnceUntilTheLogIsRead) {
  connect();
  ASSERT_TRUE(set_feature(Feature::kAsyncEventConfig, nvme::kOaesNamespaceAttribute).status.ok());
  const uint16_t first = request_event();
  EXPECT_FALSE(host_->has_answer(first));
  add_ram(1);
  ASSERT_TRUE(host_->has_answer(first));
  EXPECT_EQ(host_->take_answer(first).result, 0x00040002u);

  const uint16_t second = request_event();
  add_ram(2);
  EXPECT_FALSE(host_->has_answer(second));
  get_log({.lid = 0x04, .length = 4096, .rae = true});
  EXPECT_FALSE(host_->has_answer(second));
  get_log({.lid = 0x04, .length = 4096});  // shows the second change too
  EXPECT_FALSE(host_->has_answer(second));
  add_ram(3);
  EXPECT_TRUE(host_->has_answer(second));
}

TEST_F(AdminTest, KeepsAnEventUntilThereIsARequest) {
  connect();
  ASSERT_TRUE(set_feature(Feature::kAsyncEventConfig, nvme::kOaesNamespaceAttribute).status.ok());
  add_ram(1);
  add_ram(2);
  const uint16_t first = request_event();
  EXPECT_TRUE(host_->has_answer(first));
  EXPECT_FALSE(host_->has_answer(request_event()));
}

TEST_F(AdminTest, ReportsNothingThatTheHostDidNotEnable) {
  connect();
  const uint16_t cid = request_event();
  add_ram(1);
  EXPECT_FALSE(host_->has_answer(cid));
}

TEST_F(AdminTest, HoldsNoMoreEventRequestsThanAnnounced) {
  connect();
  request_event();
  request_event();
  const uint16_t third = request_event();
  ASSERT_TRUE(host_->has_answer(third));
  EXPECT_PERMANENT(host_->take_answer(third), status::kAsyncEventLimitExceeded);
}

TEST_F(AdminTest, WarnsWhenATemperatureThresholdIsCrossed) {
  connect();
  ASSERT_TRUE(set_feature(Feature::kAsyncEventConfig, nvme::kWarningTemperature).status.ok());
  const uint16_t cid = request_event();
  ASSERT_TRUE(set_feature(Feature::kTemperatureThreshold, 290).status.ok());
  run();
  ASSERT_TRUE(host_->has_answer(cid));
  EXPECT_EQ(host_->take_answer(cid).result, 0x00020101u);
  EXPECT_EQ(page_of<nvme::SmartLog>(get_log({.lid = 0x02, .length = 512})).critical_warning, nvme::kWarningTemperature);
}

// --- features -----------------------------------------------------------------------------------------------------------------------------

TEST_F(AdminTest, GrantsQueuesUpToItsLimit) {
  connect();
  EXPECT_EQ(set_feature(Feature::kNumberOfQueues, 0x00030007).result, 0x00030003u);
  EXPECT_EQ(get_feature(Feature::kNumberOfQueues).result, 0x00030003u);
  EXPECT_EQ(set_feature(Feature::kNumberOfQueues, 0xfffefffe).result, 0x007f007fu);
  EXPECT_PERMANENT(set_feature(Feature::kNumberOfQueues, 0x0001ffff), status::kInvalidField);
  EXPECT_PERMANENT(set_feature(Feature::kNumberOfQueues, 0xffff0001), status::kInvalidField);
}

TEST_F(AdminTest, RoundsTheKeepAliveTimeoutUp) {
  connect();
  EXPECT_EQ(get_feature(Feature::kKeepAliveTimer).result, 30'000u);
  EXPECT_EQ(set_feature(Feature::kKeepAliveTimer, 4001).result, 5000u);
  EXPECT_EQ(get_feature(Feature::kKeepAliveTimer).result, 5000u);
}

TEST_F(AdminTest, KeepsTheTimestampGoing) {
  connect();
  clock_.advance(milliseconds(250));
  run();
  const Answer before = get_feature(Feature::kTimestamp, 0, 8);
  EXPECT_EQ(uint64_t{page_of<nvme::Timestamp>(before).timestamp_ms}, 250u);
  EXPECT_EQ(page_of<nvme::Timestamp>(before).attributes, nvme::Timestamp::kOriginReset);
  nvme::Timestamp timestamp{};
  timestamp.timestamp_ms = 1'000'000;
  const auto bytes = bytes_of(timestamp);
  ASSERT_TRUE(set_feature(Feature::kTimestamp, 0, {bytes.begin(), bytes.end()}).status.ok());
  clock_.advance(milliseconds(1500));
  run();
  const Answer answer = get_feature(Feature::kTimestamp, 0, 8);
  EXPECT_EQ(uint64_t{page_of<nvme::Timestamp>(answer).timestamp_ms}, 1'001'500u);
  EXPECT_EQ(page_of<nvme::Timestamp>(answer).attributes, nvme::Timestamp::kOriginSet);
}

TEST_F(AdminTest, KeepsTheHostBehaviorThatItHasChecked) {
  connect();
  std::vector<std::byte> behavior(512);
  behavior[0] = std::byte{1};
  ASSERT_TRUE(set_feature(Feature::kHostBehavior, 0, behavior).status.ok());
  EXPECT_EQ(get_feature(Feature::kHostBehavior, 0, 512).data, behavior);
  EXPECT_EQ(get_feature(Feature::kHostBehavior, 0, 512, nvme::FeatureSelect::kDefault).data, std::vector<std::byte>(512));
  behavior[100] = std::byte{1};
  EXPECT_PERMANENT(set_feature(Feature::kHostBehavior, 0, behavior), status::kInvalidField);
}

TEST_F(AdminTest, ShowsTheHostItsIdentifierButTakesNoOther) {
  connect();
  EXPECT_EQ(get_feature(Feature::kHostIdentifier, 1, 16).data, std::vector<std::byte>(16, std::byte{0x5a}));
  EXPECT_PERMANENT(get_feature(Feature::kHostIdentifier, 0, 16), status::kInvalidField);
  EXPECT_PERMANENT(set_feature(Feature::kHostIdentifier, 1, std::vector<std::byte>(16)), status::kCommandSequenceError);
}

TEST_F(AdminTest, SaysWhatAFeatureCanDo) {
  connect();
  using enum nvme::FeatureSelect;
  EXPECT_EQ(get_feature(Feature::kArbitration, 0, 0, kCapabilities).result, nvme::kFeatureChangeable);
  EXPECT_EQ(get_feature(Feature::kHostIdentifier, 0, 0, kCapabilities).result, 0u);
  ASSERT_TRUE(set_feature(Feature::kArbitration, 3).status.ok());
  EXPECT_EQ(get_feature(Feature::kArbitration).result, 3u);
  EXPECT_EQ(get_feature(Feature::kArbitration, 0, 0, kDefault).result, 0u);
  EXPECT_EQ(get_feature(Feature::kArbitration, 0, 0, kSaved).result, 0u);
  EXPECT_PERMANENT(get_feature(Feature::kArbitration, 0, 0, nvme::FeatureSelect(4)), status::kInvalidField);
}

TEST_F(AdminTest, RefusesWhatNoFeatureTakes) {
  connect();
  EXPECT_PERMANENT(set_feature(Feature(0xd0), 0), status::kInvalidField);
  EXPECT_PERMANENT(get_feature(Feature(0xd0)), status::kInvalidField);
  EXPECT_PERMANENT(set_feature(Feature::kArbitration, 0, {}, 1), status::kFeatureNotNamespaceSpecific);
  EXPECT_PERMANENT(set_feature(Feature::kArbitration, 0, {}, 65), status::kInvalidNamespace);
  const auto save = admin(nvme::AdminOpcode::kSetFeatures, nvme::kSetFeaturesSave | uint32_t(Feature::kArbitration));
  EXPECT_PERMANENT(send(save), status::kFeatureNotSaveable);
}

TEST_F(AdminTest, SwitchesTheWriteCacheOff) {
  connect();
  add_namespace(1, cached_disk());
  ASSERT_TRUE(set_feature(Feature::kVolatileWriteCache, 0).status.ok());
  EXPECT_EQ(get_feature(Feature::kVolatileWriteCache).result, 0u);
  EXPECT_EQ(get_feature(Feature::kVolatileWriteCache, 0, 0, nvme::FeatureSelect::kDefault).result, 1u);
}

// --- discovery controllers ----------------------------------------------------------------------------------------------------------------

class DiscoveryControllerTest : public AdminTest {
 protected:
  DiscoveryControllerTest() {
    target_->set_listeners({{.type = TransportType::kTcp, .host = "10.0.0.1", .port = 4420}});
    connect(fabrics::kDiscoveryNqn);
  }
};

TEST_F(DiscoveryControllerTest, IdentifiesOnlyItself) {
  const Answer answer = identify(Cns::kController);
  EXPECT_EQ(page_of<nvme::IdentifyController>(answer).cntrltype, 2);
  EXPECT_EQ(text_of(page_of<nvme::IdentifyController>(answer).subnqn), fabrics::kDiscoveryNqn);
  for (const Cns cns : {Cns::kActiveNamespaces, Cns::kIocsController, Cns::kControllers}) {
    EXPECT_PERMANENT(identify(cns), status::kInvalidField);
  }
}

/// libnvme: 20 bytes, then the entries, then 20 bytes again.
TEST_F(DiscoveryControllerTest, GivesItsLogInThePartsThatHostsRead) {
  const Answer header = get_log({.lid = 0x70, .length = 20});
  ASSERT_TRUE(header.status.ok());
  uint64_t records;
  std::memcpy(&records, header.data.data() + 8, 8);
  ASSERT_EQ(records, 2u);
  const Answer entries = get_log({.lid = 0x70, .length = 2048, .offset = 1024});
  ASSERT_TRUE(entries.status.ok());
  EXPECT_EQ(text_of(page_of<fabrics::DiscoveryLogEntry>(entries).subnqn), fabrics::kDiscoveryNqn);
  EXPECT_EQ(text_of(view<fabrics::DiscoveryLogEntry>(std::span(entries.data).subspan(1024))->subnqn), kNqn);
  EXPECT_EQ(get_log({.lid = 0x70, .length = 20}).data, header.data);
}

TEST_F(DiscoveryControllerTest, KeepsTheLogThatItBeganToShow) {
  get_log({.lid = 0x70, .length = 20});
  target_->set_listeners({});
  EXPECT_TRUE(get_log({.lid = 0x70, .length = 2048, .offset = 1024}).status.ok());
  get_log({.lid = 0x70, .length = 20});
  EXPECT_PERMANENT(get_log({.lid = 0x70, .length = 2048, .offset = 2048}), status::kInvalidField);
}

TEST_F(DiscoveryControllerTest, FillsUpWhatTheFilterTookAway) {
  target_->set_listeners({{.type = TransportType::kTcp, .host = "10.0.0.1", .port = 4420},
                          {.type = TransportType::kTcp, .host = "10.0.0.2", .port = 4420}});
  get_log({.lid = 0x70, .length = 20});
  const Answer last = get_log({.lid = 0x70, .length = 1024, .offset = 4096, .lsp = fabrics::kLspPortLocal});
  ASSERT_TRUE(last.status.ok());
  EXPECT_EQ(last.data, std::vector<std::byte>(1024));
}

TEST_F(DiscoveryControllerTest, ReportsAChangeOfTheLog) {
  ASSERT_TRUE(set_feature(Feature::kAsyncEventConfig, nvme::kOaesDiscoveryLog).status.ok());
  const uint16_t cid = request_event();
  host_->queue().controller()->discovery_changed();
  run();
  ASSERT_TRUE(host_->has_answer(cid));
  EXPECT_EQ(host_->take_answer(cid).result, 0x0070f002u);
}

/// A change while the host reads the old log in parts must reach it: the last part unmasks, and the event is not dropped.
TEST_F(DiscoveryControllerTest, ReportsAChangeThatCameWhileTheLogWasRead) {
  ASSERT_TRUE(set_feature(Feature::kAsyncEventConfig, nvme::kOaesDiscoveryLog).status.ok());
  request_event();
  host_->queue().controller()->discovery_changed();
  run();
  const uint16_t second = request_event();
  get_log({.lid = 0x70, .length = 1024, .rae = true});
  host_->queue().controller()->discovery_changed();
  run();
  EXPECT_FALSE(host_->has_answer(second));
  get_log({.lid = 0x70, .length = 2048, .offset = 1024});
  EXPECT_TRUE(host_->has_answer(second));
}

TEST_F(DiscoveryControllerTest, HasNoNamespacePagesOrFeatures) {
  for (const uint8_t lid : {0x02, 0x03, 0x04}) EXPECT_PERMANENT(get_log({.lid = lid, .length = 4}), status::kInvalidField);
  EXPECT_PERMANENT(get_feature(Feature::kNumberOfQueues), status::kInvalidField);
  EXPECT_PERMANENT(set_feature(Feature::kAsyncEventConfig, nvme::kOaesNamespaceAttribute), status::kInvalidField);
}

}  // namespace
}  // namespace weft::nvmf
