// The target changes while it serves, over the loop transport, on one and on three reactors: namespaces, access, listeners, subsystems.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "transport/loop/loop_host.h"
#include "transport/loop/slow_bdev.h"
#include "wire/fabrics/discovery.h"
#include "wire/nvme/features.h"
#include "wire/nvme/identify.h"
#include "wire/nvme/log_pages.h"

namespace weft::loop {
namespace {

namespace status = nvme::status;
using nvme::AdminOpcode;
using nvme::IoOpcode;
using Delivery = Connection::Delivery;

constexpr char kOtherHost[] = "nqn.2014-08.org.nvmexpress:uuid:other";
constexpr char kOtherNqn[] = "nqn.2024-01.io.weft:other";

/// An admin queue and an I/O queue on the last shard.
struct Host {
  Host(TestTarget& target, size_t shard, const std::string& hostnqn = kHostNqn, const std::string& subnqn = kNqn)
      : admin(target), io(target, shard) {
    const uint16_t cntlid = admin.connect_and_enable({.subnqn = subnqn, .hostnqn = hostnqn});
    EXPECT_TRUE(io.connect({.subnqn = subnqn, .hostnqn = hostnqn, .cntlid = cntlid, .qid = 1}).decoded_status().ok());
  }
  bool is_gone() { return admin.connection().is_detached() && io.connection().is_detached(); }
  TestQueue admin;
  TestQueue io;
};

nvme::Sqe admin_sqe(AdminOpcode opcode, uint32_t cdw10 = 0, uint32_t cdw11 = 0, uint32_t nsid = 0) {
  nvme::Sqe sqe{};
  sqe.opcode = uint8_t(opcode);
  sqe.nsid = nsid;
  sqe.cdw10 = cdw10;
  sqe.cdw11 = cdw11;
  return sqe;
}

/// The events of one controller: enables them and keeps one request outstanding.
struct Events {
  Events(TestQueue& a, uint32_t enabled) : admin(a) {
    EXPECT_TRUE(admin.status({.sqe = admin_sqe(AdminOpcode::kSetFeatures, uint32_t(nvme::Feature::kAsyncEventConfig), enabled)}).ok());
    admin.start({.sqe = admin_sqe(AdminOpcode::kAsyncEventRequest)}, told);
  }
  TestQueue& admin;
  std::optional<nvme::Cqe> told;
};

struct Reconfigure : testing::TestWithParam<size_t> {  // the number of reactors
  Reconfigure() : target(GetParam()) {
    auto ram = bdev::make_ram(target.memory, "ram", {.block_count = 2048, .blocks_available = 4096, .block_size = 512});
    target.add(1, std::move(*ram));
    target.add(2, std::make_unique<SlowBdev>(slow));
  }
  ~Reconfigure() override { slow.finish_all(); }

  size_t last_shard() const { return GetParam() - 1; }
  nvmf::Subsystem& subsystem() { return target.subsystem(); }
  /// Calls start(done) and turns the reactors until it has called back.
  template <typename F>
  Result<void> finish(F&& start) {
    std::optional<Result<void>> result;
    start([&](Result<void> done) { result = done; });
    target.until([&] { return result.has_value(); });
    return result.value_or(fail(Errc::kTimedOut, "the test"));
  }
  Result<void> resize(uint32_t nsid, uint64_t blocks) {
    return finish([&](nvmf::Done done) { target.target().resize_namespace(subsystem(), nsid, blocks, std::move(done)); });
  }
  Result<void> set_access(nvmf::HostAccess access) {
    return finish([&](nvmf::Done done) { target.target().set_access(subsystem(), std::move(access), std::move(done)); });
  }
  static nvme::Status write(Host& host, uint64_t slba, uint32_t nsid = 1) {
    static const std::vector<std::byte> data(512, std::byte{7});
    return host.io.status({.sqe = io_sqe(IoOpcode::kWrite, slba, 1, nsid), .from_host = data});
  }
  fabrics::DiscoveryLogHeader discovery_header(TestQueue& admin) {
    fabrics::DiscoveryLogHeader header{};
    const uint32_t dwords = sizeof header / 4 - 1;
    const nvme::Sqe sqe = admin_sqe(AdminOpcode::kGetLogPage, dwords << 16 | uint32_t(nvme::LogPage::kDiscovery));
    EXPECT_TRUE(admin.status({.sqe = sqe, .to_host = std::as_writable_bytes(std::span(&header, 1))}).ok());
    return header;
  }
  /// A persistent discovery controller that wants to hear of changes.
  std::unique_ptr<TestQueue> discover() {
    auto admin = std::make_unique<TestQueue>(target, last_shard());
    admin->connect_and_enable({.subnqn = fabrics::kDiscoveryNqn, .kato_ms = 600'000});
    return admin;
  }

  HeldIos slow;
  TestTarget target;
};
INSTANTIATE_TEST_SUITE_P(Reactors, Reconfigure, testing::Values(1, 3));

// --- namespaces -----------------------------------------------------------------------------------------------------------------------------

TEST_P(Reconfigure, ANamespaceThatGrowsTakesCommandsUpToItsNewEndAndTellsItsHosts) {
  Host host{target, last_shard()};
  Events events{host.admin, nvme::kOaesNamespaceAttribute};
  EXPECT_TRUE(write(host, 3000).is(status::kLbaOutOfRange));
  ASSERT_TRUE(resize(1, 4096));
  target.until([&] { return events.told.has_value(); });
  EXPECT_EQ(uint32_t{events.told->dw0}, 0x00040002u);
  nvme::ChangedNamespaces changed{};
  const nvme::Sqe log = admin_sqe(AdminOpcode::kGetLogPage, (sizeof changed / 4 - 1) << 16 | uint32_t(nvme::LogPage::kChangedNamespaces));
  EXPECT_TRUE(host.admin.status({.sqe = log, .to_host = std::as_writable_bytes(std::span(&changed, 1))}).ok());
  EXPECT_EQ(uint32_t{changed.nsid[0]}, 1u);
  nvme::IdentifyNamespace page{};
  const nvme::Sqe identify = admin_sqe(AdminOpcode::kIdentify, uint32_t(nvme::Cns::kNamespace), 0, 1);
  EXPECT_TRUE(host.admin.status({.sqe = identify, .to_host = std::as_writable_bytes(std::span(&page, 1))}).ok());
  EXPECT_EQ(uint64_t{page.nsze}, 4096u);
  EXPECT_TRUE(write(host, 4095).ok());
  EXPECT_TRUE(write(host, 4096).is(status::kLbaOutOfRange));
}

TEST_P(Reconfigure, ANamespaceThatShrinksLetsWhatADeviceHasEndAndNothingElsePastItsEnd) {
  Host host{target, last_shard()};
  const std::vector<std::byte> data(512);
  std::optional<nvme::Cqe> in_device, waiting;
  host.io.start({.sqe = io_sqe(IoOpcode::kWrite, 2047, 1, 2), .from_host = data}, in_device);
  host.io.connection().hold_requested_data(true);
  host.io.start({.sqe = io_sqe(IoOpcode::kWrite, 2047, 1, 1), .from_host = data, .delivery = Delivery::kOnRequest}, waiting);
  ASSERT_TRUE(resize(1, 100));
  ASSERT_TRUE(resize(2, 100));
  EXPECT_FALSE(in_device);
  slow.finish_all();
  ASSERT_TRUE(in_device);
  EXPECT_TRUE(in_device->decoded_status().ok());
  host.io.connection().deliver_all();
  ASSERT_TRUE(waiting);
  EXPECT_TRUE(waiting->decoded_status().is(status::kLbaOutOfRange));
  EXPECT_TRUE(write(host, 99).ok());
  EXPECT_TRUE(write(host, 100).is(status::kLbaOutOfRange));
}

TEST_P(Reconfigure, ANamespaceIsNotMadeLargerThanItsDeviceOrEmpty) {
  EXPECT_EQ(resize(1, 4097).error().code, Errc::kLimit);
  EXPECT_EQ(resize(2, 2049).error().code, Errc::kLimit);
  EXPECT_EQ(resize(1, 0).error().code, Errc::kInvalid);
  EXPECT_EQ(resize(9, 1).error().code, Errc::kNotFound);
}

TEST_P(Reconfigure, ANamespaceThatComesOrGoesIsNotChanged) {
  nvmf::Target& t = target.target();
  std::optional<Result<void>> added, removed;
  t.add_namespace(subsystem(), 3, {}, target.ram(), [&](Result<void> result) { added = result; });
  const auto is_busy = [](Result<void> result) { EXPECT_EQ(result.error().code, Errc::kBusy); };
  t.remove_namespace(subsystem(), 3, is_busy);
  t.resize_namespace(subsystem(), 3, 1, is_busy);
  target.until([&] { return added.has_value(); });
  EXPECT_TRUE(added->has_value());
  t.remove_namespace(subsystem(), 3, [&](Result<void> result) { removed = result; });
  t.remove_namespace(subsystem(), 3, is_busy);
  target.until([&] { return removed.has_value(); });
  EXPECT_TRUE(removed->has_value());
}

TEST_P(Reconfigure, ChangesOfSeveralNamespacesAtOnceAllHappen) {
  nvmf::Target& t = target.target();
  size_t happened = 0;
  const auto happens = [&](Result<void> result) { happened += size_t(result.has_value()); };
  t.add_namespace(subsystem(), 3, {}, target.ram(), happens);
  t.add_namespace(subsystem(), 4, {}, target.ram(), happens);
  t.resize_namespace(subsystem(), 2, 100, happens);
  t.remove_namespace(subsystem(), 1, happens);
  t.set_access(subsystem(), {.hosts = {kOtherHost}}, happens);
  target.until([&] { return happened == 5; });
  std::vector<uint32_t> nsids;
  for (const auto& [nsid, ns] : subsystem().namespaces()) nsids.push_back(nsid);
  EXPECT_EQ(nsids, (std::vector<uint32_t>{2, 3, 4}));
}

TEST_P(Reconfigure, ARemovalThatADeviceHoldsUpIsAnsweredInTimeAndHappensLater) {
  Host host{target, last_shard()};
  std::optional<nvme::Cqe> flush;
  host.io.start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, flush);
  const Result<void> removed = finish([&](nvmf::Done done) { target.target().remove_namespace(subsystem(), 2, std::move(done)); });
  EXPECT_EQ(removed.error().code, Errc::kTimedOut);
  EXPECT_TRUE(write(host, 0, 2).is(status::kInvalidNamespace));
  EXPECT_TRUE(write(host, 0).ok());
  slow.finish_all();
  target.until([&] { return !subsystem().namespaces().contains(2); });
  ASSERT_TRUE(flush);
  EXPECT_TRUE(flush->decoded_status().ok());
}

TEST_P(Reconfigure, ANamespaceThatGoesWhileItIsFrozenEndsWhatIsParkedFirst) {
  Host host{target, last_shard()};
  const std::vector<std::byte> data(512);
  nvmf::Freezer& freezer = subsystem().namespaces().at(1)->freezer();
  bool is_frozen = false;
  freezer.freeze(subsystem().index(), {10, 10}, target.shard(0), [&] { is_frozen = true; });
  target.until([&] { return is_frozen; });
  std::optional<nvme::Cqe> parked;
  host.io.start({.sqe = io_sqe(IoOpcode::kWrite, 15, 1), .from_host = data}, parked);
  std::optional<Result<void>> removed;
  target.target().remove_namespace(subsystem(), 1, [&](Result<void> result) { removed = result; });
  target.pass(milliseconds(20));
  EXPECT_FALSE(parked);
  EXPECT_FALSE(removed);
  freezer.thaw();
  target.until([&] { return removed.has_value(); });
  EXPECT_TRUE(removed->has_value());
  ASSERT_TRUE(parked);
  EXPECT_TRUE(parked->decoded_status().ok());
}

TEST_P(Reconfigure, AFreezeWaitsForADeviceThatHangsNoLongerThanACommand) {
  Host host{target, last_shard()};
  const std::vector<std::byte> data(512);
  std::optional<nvme::Cqe> stuck;
  host.io.start({.sqe = io_sqe(IoOpcode::kWrite, 0, 1, 2), .from_host = data}, stuck);
  nvmf::Freezer& freezer = subsystem().namespaces().at(2)->freezer();
  bool is_frozen = false;
  freezer.freeze(subsystem().index(), {100, 1}, target.shard(0), [&] { is_frozen = true; });
  target.pass(milliseconds(target.target().limits().io_timeout_ms - 500));
  EXPECT_FALSE(is_frozen);
  target.pass(milliseconds(1000));
  EXPECT_TRUE(is_frozen);
  freezer.thaw();
}

TEST_P(Reconfigure, AStableWriteWhoseSyncFailsFailsTheNamespaceUntilThatIsCleared) {
  Host host{target, last_shard()};
  std::vector<std::byte> data(512);
  nvme::Sqe fua = io_sqe(IoOpcode::kWrite, 0, 1, 2);
  fua.cdw12 = uint32_t{fua.cdw12} | nvme::kCdw12Fua;
  std::optional<nvme::Cqe> written, after, cleared;
  host.io.start({.sqe = fua, .from_host = data}, written);
  ASSERT_EQ(slow.ios.size(), 1u);
  slow.ios.front()->has_sync_failed = true;
  slow.finish_all(status::kWriteFault);
  ASSERT_TRUE(written);
  EXPECT_TRUE(written->decoded_status().is(status::kWriteFault));
  host.io.start({.sqe = io_sqe(IoOpcode::kRead, 0, 1, 2), .to_host = data}, after);
  ASSERT_TRUE(after);
  EXPECT_TRUE(after->decoded_status().is(status::kInternalError));
  EXPECT_TRUE(target.target().clear_failure(subsystem(), 2));
  EXPECT_EQ(target.target().clear_failure(subsystem(), 9).error().code, Errc::kNotFound);
  host.io.start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, cleared);
  slow.finish_all();
  ASSERT_TRUE(cleared);
  EXPECT_TRUE(cleared->decoded_status().ok());
}

TEST_P(Reconfigure, AWriteThatFailsWithoutItsSyncFailsAlone) {
  Host host{target, last_shard()};
  const std::vector<std::byte> data(512);
  std::optional<nvme::Cqe> written, after;
  host.io.start({.sqe = io_sqe(IoOpcode::kWrite, 0, 1, 2), .from_host = data}, written);
  slow.finish_all(status::kWriteFault);
  ASSERT_TRUE(written);
  host.io.start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, after);
  slow.finish_all();
  ASSERT_TRUE(after);
  EXPECT_TRUE(after->decoded_status().ok());
}

// --- access ---------------------------------------------------------------------------------------------------------------------------------

TEST_P(Reconfigure, AHostThatIsNotAllowedAnyMoreIsDisconnectedAndOthersStay) {
  Host leaves{target, last_shard()}, stays{target, last_shard(), kOtherHost};
  std::optional<nvme::Cqe> flush;
  leaves.io.start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, flush);
  std::optional<Result<void>> done;
  target.target().set_access(subsystem(), {.hosts = {kOtherHost}}, [&](Result<void> result) { done = result; });
  target.pass(milliseconds(20));
  EXPECT_TRUE(leaves.io.connection().is_closed());
  EXPECT_FALSE(done);  // a queue of the host has not acknowledged: its flush is in a device
  EXPECT_TRUE(write(stays, 1).ok());
  slow.finish_all();
  target.until([&] { return done.has_value(); });
  EXPECT_TRUE(leaves.is_gone());
  EXPECT_EQ(leaves.admin.connection().close_reason(), nvmf::CloseReason::kHostNotAllowed);
  EXPECT_EQ(subsystem().registry().size(), 1u);
  TestQueue again{target};
  EXPECT_TRUE(again.connect({}).decoded_status().is(status::kConnectInvalidHost));
  EXPECT_TRUE(again.connect({.hostnqn = kOtherHost, .delivery = Delivery::kOnRequest}).decoded_status().ok());
}

TEST_P(Reconfigure, AConnectThatIsUnderWayWhenItsHostIsForbiddenIsRefused) {
  TestQueue queue{target, last_shard()};
  std::optional<Result<void>> done;
  target.target().set_access(subsystem(), {.hosts = {kOtherHost}}, [&](Result<void> result) { done = result; });
  EXPECT_TRUE(queue.connect({}).decoded_status().is(status::kConnectInvalidHost));  // its shard still has the old rules
  target.until([&] { return done.has_value(); });
  EXPECT_EQ(subsystem().registry().size(), 0u);
}

TEST_P(Reconfigure, AChangeOfAccessIsAChangeOfTheDiscoveryLog) {
  const auto admin = discover();
  Events events{*admin, nvme::kOaesDiscoveryLog};
  target.target().set_listeners({{.type = nvmf::TransportType::kLoop, .host = "loop", .is_loopback = true}}, [] {});
  target.until([&] { return events.told.has_value(); });
  const auto before = discovery_header(*admin);
  EXPECT_EQ(uint64_t{before.numrec}, 2u);
  ASSERT_TRUE(set_access({.hosts = {kOtherHost}}));
  const auto after = discovery_header(*admin);
  EXPECT_EQ(uint64_t{after.numrec}, 1u);
  EXPECT_GT(uint64_t{after.genctr}, uint64_t{before.genctr});
}

// --- listeners ------------------------------------------------------------------------------------------------------------------------------

TEST_P(Reconfigure, AListenerThatComesOrGoesIsSeenInTheDiscoveryLogAndRaisesAnEvent) {
  const auto admin = discover();
  const auto before = discovery_header(*admin);
  EXPECT_EQ(uint64_t{before.numrec}, 0u);
  Events events{*admin, nvme::kOaesDiscoveryLog};
  bool is_done = false;
  target.target().set_listeners({{.type = nvmf::TransportType::kLoop, .host = "loop", .is_loopback = true}}, [&] { is_done = true; });
  target.until([&] { return is_done && events.told.has_value(); });
  EXPECT_EQ(uint32_t{events.told->dw0}, 0x0070f002u);
  const auto with = discovery_header(*admin);
  EXPECT_EQ(uint64_t{with.numrec}, 2u);
  EXPECT_EQ(uint64_t{with.genctr}, before.genctr + 1);
  is_done = false;
  target.target().set_listeners({}, [&] { is_done = true; });
  target.until([&] { return is_done; });
  EXPECT_EQ(uint64_t{discovery_header(*admin).numrec}, 0u);
}

// --- subsystems -----------------------------------------------------------------------------------------------------------------------------

struct Subsystems : Reconfigure {
  nvmf::Subsystem* add(const std::string& nqn) {
    std::optional<Result<nvmf::Subsystem*>> added;
    target.target().add_subsystem({.nqn = nqn, .serial = "S2"}, [&](Result<nvmf::Subsystem*> result) { added = result; });
    target.until([&] { return added.has_value(); });
    return added->value();
  }
  void add_ram(nvmf::Subsystem& to, uint32_t nsid) {
    EXPECT_TRUE(finish([&](nvmf::Done done) { target.target().add_namespace(to, nsid, {}, target.ram(), std::move(done)); }));
  }
  Result<void> remove(nvmf::Subsystem& which) {
    return finish([&](nvmf::Done done) { target.target().remove_subsystem(which, std::move(done)); });
  }
};
INSTANTIATE_TEST_SUITE_P(Reactors, Subsystems, testing::Values(1, 3));

TEST_P(Subsystems, OneThatComesWhileTheTargetServesIsUsable) {
  nvmf::Subsystem& other = *add(kOtherNqn);
  add_ram(other, 1);
  Host host{target, last_shard(), kHostNqn, kOtherNqn};
  EXPECT_TRUE(write(host, 5).ok());
  std::optional<Result<nvmf::Subsystem*>> again;
  target.target().add_subsystem({.nqn = kOtherNqn}, [&](Result<nvmf::Subsystem*> result) { again = result; });
  ASSERT_TRUE(again);
  EXPECT_EQ(again->error().code, Errc::kExists);
}

TEST_P(Subsystems, OneThatGoesEndsItsAssociationsAndIsUnknownAfterwards) {
  nvmf::Subsystem& other = *add(kOtherNqn);
  add_ram(other, 1);
  add_ram(other, 2);
  Host leaves{target, last_shard(), kHostNqn, kOtherNqn}, stays{target, last_shard()};
  EXPECT_TRUE(write(leaves, 5).ok());
  ASSERT_TRUE(remove(other));
  EXPECT_TRUE(leaves.is_gone());
  EXPECT_EQ(leaves.admin.connection().close_reason(), nvmf::CloseReason::kSubsystemRemoved);
  EXPECT_EQ(target.target().subsystems().size(), 2u);  // discovery, and the one of the fixture
  EXPECT_TRUE(write(stays, 5).ok());
  TestQueue late{target};
  const nvme::Cqe refused = late.connect({.subnqn = kOtherNqn});
  EXPECT_TRUE(refused.decoded_status().is(status::kConnectInvalidParameters));
  EXPECT_EQ(uint32_t{refused.dw0}, 0x10100u);
  nvmf::Subsystem& reborn = *add(kOtherNqn);
  add_ram(reborn, 1);
  Host again{target, last_shard(), kHostNqn, kOtherNqn};
  EXPECT_TRUE(write(again, 5).ok());
}

TEST_P(Subsystems, AConnectThatIsUnderWayWhenItsSubsystemGoesIsRefused) {
  nvmf::Subsystem& other = *add(kOtherNqn);
  TestQueue queue{target, last_shard()};
  std::optional<Result<void>> removed;
  target.target().remove_subsystem(other, [&](Result<void> result) { removed = result; });
  const nvme::Cqe refused = queue.connect({.subnqn = kOtherNqn});
  EXPECT_TRUE(refused.decoded_status().is(status::kConnectInvalidParameters));
  EXPECT_EQ(uint32_t{refused.dw0}, 0x10100u);
  target.until([&] { return removed.has_value(); });
  EXPECT_TRUE(removed->has_value());
}

TEST_P(Subsystems, OneWhoseDeviceHangsIsHiddenAtOnceAndGoesWhenTheDeviceLetsGo) {
  nvmf::Subsystem& other = *add(kOtherNqn);
  EXPECT_TRUE(finish([&](nvmf::Done done) {
    target.target().add_namespace(other, 2, {}, std::make_unique<SlowBdev>(slow), std::move(done));
  }));
  Host leaves{target, last_shard(), kHostNqn, kOtherNqn}, stays{target, last_shard()};
  std::optional<nvme::Cqe> flush;
  leaves.io.start({.sqe = io_sqe(IoOpcode::kFlush, 0, 1, 2)}, flush);
  EXPECT_EQ(remove(other).error().code, Errc::kTimedOut);
  EXPECT_TRUE(write(stays, 5).ok());
  nvmf::Subsystem& reborn = *add(kOtherNqn);  // the name is free
  EXPECT_NE(&reborn, &other);
  EXPECT_EQ(target.target().subsystems().size(), 4u);
  slow.finish_all();
  target.until([&] { return target.target().subsystems().size() == 3; });
  EXPECT_FALSE(flush);
}

TEST_P(Subsystems, OneThatIsGoingTakesNoChange) {
  nvmf::Subsystem& other = *add(kOtherNqn);
  nvmf::Target& t = target.target();
  std::optional<Result<void>> removed;
  t.remove_subsystem(other, [&](Result<void> result) { removed = result; });
  const auto is_not_found = [](Result<void> result) { EXPECT_EQ(result.error().code, Errc::kNotFound); };
  t.remove_subsystem(other, is_not_found);
  t.set_access(other, {}, is_not_found);
  t.add_namespace(other, 1, {}, target.ram(), is_not_found);
  t.remove_subsystem(t.discovery(), [](Result<void> result) { EXPECT_EQ(result.error().code, Errc::kInvalid); });
  target.until([&] { return removed.has_value(); });
  EXPECT_TRUE(removed->has_value());
}

TEST_P(Subsystems, OneThatGoesWhileANamespaceComesTakesItAlong) {
  nvmf::Subsystem& other = *add(kOtherNqn);
  std::optional<Result<void>> added, removed;
  target.target().add_namespace(other, 1, {}, target.ram(), [&](Result<void> result) { added = result; });
  target.target().remove_subsystem(other, [&](Result<void> result) { removed = result; });
  target.until([&] { return added.has_value() && removed.has_value(); });
  EXPECT_FALSE(added->has_value());
  EXPECT_TRUE(removed->has_value());
}

}  // namespace
}  // namespace weft::loop
