#include "nvmf/discovery_log.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "nvmf/subsystem.h"
#include "nvmf/target.h"
#include "wire/fabrics/connect.h"
#include "wire/text_field.h"

namespace weft::nvmf {
namespace {

constexpr char kHost[] = "nqn.2014-08.org.nvmexpress:uuid:host";

class DiscoveryLogTest : public testing::Test {
 protected:
  DiscoveryLogTest() { add(SubsystemKind::kDiscovery, fabrics::kDiscoveryNqn, {}); }

  void add(SubsystemKind kind, std::string nqn, HostAccess access) {
    const auto index = uint32_t(subsystems_.size());
    subsystems_.push_back(std::make_unique<Subsystem>(
        index, kind, SubsystemConfig{.nqn = std::move(nqn), .serial = {}, .access = access}, 8));
    views_.push_back(std::make_unique<SubsystemView>(SubsystemView{.subsystem = *subsystems_.back(), .access = std::move(access)}));
  }
  void add_open(std::string nqn) { add(SubsystemKind::kNvm, std::move(nqn), {.allow_any_host = true, .hosts = {}}); }

  DiscoveryLog build(const Origin& origin) {
    return DiscoveryLog::build(
        {.subsystems = views_, .listeners = listeners_, .generation = 7, .admin_queue_entries = 128}, kHost, origin);
  }
  static std::vector<fabrics::DiscoveryLogEntry> entries(const DiscoveryLog& log, uint8_t lsp = 0) {
    const auto page = log.page(lsp);
    std::vector<fabrics::DiscoveryLogEntry> entries;
    for (size_t at = sizeof(fabrics::DiscoveryLogHeader); at < page.size(); at += sizeof(fabrics::DiscoveryLogEntry)) {
      entries.push_back(*view<fabrics::DiscoveryLogEntry>(std::span(page).subspan(at)));
    }
    EXPECT_EQ(uint64_t{view<fabrics::DiscoveryLogHeader>(page)->numrec}, entries.size());
    return entries;
  }
  /// "subtype address port" of each entry.
  static std::vector<std::string> summary(const DiscoveryLog& log, uint8_t lsp = 0) {
    std::vector<std::string> lines;
    for (const auto& entry : entries(log, lsp)) {
      lines.push_back(std::to_string(entry.subtype) + " " + std::string(text_of(entry.traddr)) + " " + std::string(text_of(entry.trsvcid)));
    }
    return lines;
  }
  static ListenerRecord listener(std::string host, uint16_t port) {
    return {.type = TransportType::kTcp, .host = std::move(host), .port = port};
  }
  static Origin from(std::string local_host, uint16_t port) {
    return {.type = TransportType::kTcp, .local_host = std::move(local_host), .local_port = port, .peer_host = {}};
  }

  std::vector<std::unique_ptr<Subsystem>> subsystems_;
  std::vector<std::unique_ptr<SubsystemView>> views_;
  std::vector<ListenerRecord> listeners_;
};

using Lines = std::vector<std::string>;

TEST_F(DiscoveryLogTest, HasAnEntryPerListenerForTheServiceAndEachSubsystem) {
  add_open("nqn.a");
  listeners_ = {listener("10.0.0.1", 4420), listener("10.0.0.2", 4421)};
  EXPECT_EQ(summary(build(from("10.0.0.1", 4420))),
            (Lines{"3 10.0.0.1 4420", "2 10.0.0.1 4420", "3 10.0.0.2 4421", "2 10.0.0.2 4421"}));
}

TEST_F(DiscoveryLogTest, FillsAnEntryAsHostsExpectIt) {
  add_open("nqn.a");
  listeners_ = {listener("10.0.0.1", 4420)};
  const auto log = entries(build(from("10.0.0.1", 4420)));
  ASSERT_EQ(log.size(), 2u);
  const auto& entry = log[1];
  EXPECT_EQ(entry.trtype, 3);
  EXPECT_EQ(entry.adrfam, 1);
  EXPECT_EQ(entry.treq, 6);
  EXPECT_EQ(uint32_t{entry.portid}, 1u);
  EXPECT_EQ(uint32_t{entry.cntlid}, 0xffffu);
  EXPECT_EQ(uint32_t{entry.asqsz}, 128u);
  EXPECT_EQ(uint32_t{entry.eflags}, 0u);
  EXPECT_EQ(text_of(entry.subnqn), "nqn.a");
  EXPECT_EQ(uint32_t{log[0].eflags}, fabrics::kEflagsEpcsd);
  EXPECT_EQ(text_of(log[0].subnqn), fabrics::kDiscoveryNqn);
}

TEST_F(DiscoveryLogTest, HidesSubsystemsThatTheHostMayNotUse) {
  add(SubsystemKind::kNvm, "nqn.mine", {.allow_any_host = false, .hosts = {kHost}});
  add(SubsystemKind::kNvm, "nqn.other", {.allow_any_host = false, .hosts = {"nqn.someone"}});
  listeners_ = {listener("10.0.0.1", 4420)};
  const auto log = entries(build(from("10.0.0.1", 4420)));
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(text_of(log[1].subnqn), "nqn.mine");
}

TEST_F(DiscoveryLogTest, ShowsTheAddressAskedAtInPlaceOfAWildcard) {
  listeners_ = {listener("0.0.0.0", 4420)};
  listeners_[0].is_wildcard = true;
  EXPECT_EQ(summary(build(from("192.168.1.9", 4420))), (Lines{"3 192.168.1.9 4420"}));
}

TEST_F(DiscoveryLogTest, LeavesOutAnIpv4WildcardForAHostThatCameByIpv6) {
  listeners_ = {listener("0.0.0.0", 4420), listener("fd00::1", 4420)};
  listeners_[0].is_wildcard = true;
  listeners_[1].is_ipv6 = true;
  auto origin = from("fd00::1", 4420);
  origin.is_ipv6 = true;
  const auto log = entries(build(origin));
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].adrfam, 2);
  EXPECT_EQ(uint32_t{log[0].portid}, 2u);  // the same for every host
}

TEST_F(DiscoveryLogTest, ShowsAnIpv6WildcardByTheFamilyOfTheHost) {
  listeners_ = {listener("::", 4420)};
  listeners_[0].is_wildcard = true;
  listeners_[0].is_ipv6 = true;
  const auto log = entries(build(from("10.0.0.1", 4420)));
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].adrfam, 1);
  EXPECT_EQ(text_of(log[0].traddr), "10.0.0.1");
}

TEST_F(DiscoveryLogTest, ShowsLoopbackListenersOverLoopbackOnly) {
  listeners_ = {listener("127.0.0.1", 4420), listener("10.0.0.1", 4420)};
  listeners_[0].is_loopback = true;
  EXPECT_EQ(summary(build(from("10.0.0.1", 4420))), (Lines{"3 10.0.0.1 4420"}));
  auto over_loopback = from("127.0.0.1", 4420);
  over_loopback.is_loopback_listener = true;
  EXPECT_EQ(summary(build(over_loopback)), (Lines{"3 127.0.0.1 4420", "3 10.0.0.1 4420"}));
}

TEST_F(DiscoveryLogTest, OpenToAnyHostOnLoopbackOnlyWithoutAHostList) {
  add(SubsystemKind::kNvm, "nqn.a", {});
  listeners_ = {listener("127.0.0.1", 4420), listener("10.0.0.1", 4420)};
  listeners_[0].is_loopback = true;
  auto over_loopback = from("127.0.0.1", 4420);
  over_loopback.is_loopback_listener = true;
  EXPECT_EQ(summary(build(over_loopback)), (Lines{"3 127.0.0.1 4420", "2 127.0.0.1 4420", "3 10.0.0.1 4420"}));
}

TEST_F(DiscoveryLogTest, FiltersByPortButKeepsItsSize) {
  add_open("nqn.a");
  listeners_ = {listener("10.0.0.1", 4420), listener("10.0.0.1", 8009)};
  const auto log = build(from("10.0.0.1", 8009));
  EXPECT_EQ(summary(log, fabrics::kLspPortLocal), (Lines{"3 10.0.0.1 8009", "2 10.0.0.1 8009"}));
  EXPECT_EQ(view<fabrics::DiscoveryLogHeader>(log.page(fabrics::kLspPortLocal))->dlpf, fabrics::kLspPortLocal);
  EXPECT_EQ(log.size(), sizeof(fabrics::DiscoveryLogHeader) + 4 * sizeof(fabrics::DiscoveryLogEntry));
}

TEST_F(DiscoveryLogTest, SaysWhereTheSameLogIsFound) {
  listeners_ = {listener("10.0.0.1", 4420), listener("10.0.0.2", 4420)};
  constexpr uint16_t kBoth = fabrics::kEflagsEpcsd | fabrics::kEflagsDupretinfo;
  EXPECT_EQ(uint16_t{entries(build(from("10.0.0.1", 4420)))[0].eflags}, kBoth);
  listeners_[1] = listener("0.0.0.0", 4420);
  listeners_[1].is_wildcard = true;
  EXPECT_EQ(uint16_t{entries(build(from("10.0.0.1", 4420)))[0].eflags}, fabrics::kEflagsEpcsd);
}

TEST_F(DiscoveryLogTest, CarriesTheGeneration) {
  const auto page = build(from("10.0.0.1", 4420)).page(0);
  const auto* header = view<fabrics::DiscoveryLogHeader>(page);
  EXPECT_EQ(uint64_t{header->genctr}, 7u);
  EXPECT_EQ(uint32_t{header->recfmt}, 0u);
  EXPECT_EQ(header->dlpf, 0);
}

}  // namespace
}  // namespace weft::nvmf
