#include "nvmf/identify.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "nvmf/io_limits.h"
#include "nvmf/subsystem.h"
#include "wire/nvme/registers.h"
#include "wire/text_field.h"

namespace weft::nvmf {
namespace {

nvme::IdentifyController controller_page(SubsystemKind kind) {
  Subsystem subsystem(0, kind, {.nqn = "nqn.2024-01.io.weft:a", .serial = "S1", .access = {}}, 8);
  const SubsystemView view{.subsystem = subsystem, .by_nsid = {}, .table = {}};
  return identify_controller_page(view, 0x1234, Limits{}, TransportType::kTcp);
}

/// What a Linux host refuses a controller for: host/core.c, host/fabrics.c, host/tcp.c.
TEST(IdentifyController, HasWhatALinuxHostDemands) {
  const auto page = controller_page(SubsystemKind::kNvm);
  EXPECT_EQ(uint32_t{page.cntlid}, 0x1234u);
  EXPECT_EQ(page.cntrltype, 1);
  EXPECT_GT(uint32_t{page.kas}, 0u);
  EXPECT_GE(uint32_t{page.ioccsz}, 4u);
  EXPECT_GE(uint32_t{page.iorcsz}, 1u);
  EXPECT_EQ(uint32_t{page.icdoff}, 0u);
  EXPECT_EQ(uint32_t{page.maxcmd}, 1024u);
  EXPECT_NE(page.sgls & 3u, 0u);
  EXPECT_EQ(page.cmic & 0xb, 3);  // several controllers, no ANA: MNAN may be 0 then
  EXPECT_EQ(uint32_t{page.ver}, nvme::kVersion2_0);
  EXPECT_EQ(text_of(page.subnqn), "nqn.2024-01.io.weft:a");
}

TEST(IdentifyController, PadsItsNamesAsTheSpecificationSays) {
  const auto page = controller_page(SubsystemKind::kNvm);
  EXPECT_EQ(std::string_view(page.sn.data(), page.sn.size()), "S1                  ");
  EXPECT_EQ(page.mn[39], ' ');
  EXPECT_EQ(page.fr[7], ' ');
  EXPECT_EQ(page.subnqn[255], '\0');
}

TEST(IdentifyController, AnnouncesTheLimitsInItsUnits) {
  Subsystem subsystem(0, SubsystemKind::kNvm, {.nqn = "n", .serial = {}, .access = {}}, 8);
  const SubsystemView view{.subsystem = subsystem, .by_nsid = {}, .table = {}};
  const Limits limits{.data_transfer_bytes = 128 << 10, .in_capsule_bytes = 4096, .async_events = 4, .aborts = 2, .error_log_entries = 16};
  const auto page = identify_controller_page(view, 1, limits, TransportType::kTcp);
  EXPECT_EQ(page.mdts, 5);
  EXPECT_EQ(uint32_t{page.ioccsz}, 260u);
  EXPECT_EQ(page.aerl, 3);
  EXPECT_EQ(page.acl, 1);
  EXPECT_EQ(page.elpe, 15);
}

TEST(IdentifyController, OverRdmaDescribesDataByKeysAndTakesLessInACapsule) {
  Subsystem subsystem(0, SubsystemKind::kNvm, {.nqn = "n", .serial = {}, .access = {}}, 8);
  const SubsystemView view{.subsystem = subsystem, .by_nsid = {}, .table = {}};
  const auto page = identify_controller_page(view, 1, Limits{}, TransportType::kRdma);
  EXPECT_EQ(uint32_t{page.sgls}, nvme::kSglsSupported | nvme::kSglsKeyedDataBlock | nvme::kSglsOffset);
  EXPECT_EQ(uint32_t{page.ioccsz}, 4u + 4096 / 16);
  EXPECT_EQ(page.msdbd, 16);
}

TEST(IdentifyController, AnnouncesAWriteCacheAndFlushOfAllWithoutNamespaces) {
  EXPECT_EQ(controller_page(SubsystemKind::kNvm).vwc, nvme::kVwcFlushAllSupported | nvme::kVwcPresent);
}

TEST(IdentifyController, OfADiscoverySubsystemHasNoNamespaces) {
  const auto page = controller_page(SubsystemKind::kDiscovery);
  EXPECT_EQ(page.cntrltype, 2);
  EXPECT_EQ(uint32_t{page.nn}, 0u);
  EXPECT_EQ(uint32_t{page.oncs}, 0u);
  EXPECT_EQ(page.vwc, 0);
  EXPECT_EQ(uint32_t{page.oaes}, nvme::kOaesDiscoveryLog);
  EXPECT_GT(uint32_t{page.kas}, 0u);
}

TEST(IdentifyNamespace, DescribesTheDevice) {
  const bdev::Info info{.block_count = 2048,
                        .block_size = 4096,
                        .preferred_blocks = 4,
                        .can_deallocate = true,
                        .deallocated_reads_zero = true,
                        .is_read_only = true};
  NamespaceIdentity identity;
  identity.nguid.fill(std::byte{0x11});
  identity.eui64.fill(std::byte{0x22});
  const auto page = namespace_page(info, identity, Limits{});
  EXPECT_EQ(uint64_t{page.nsze}, 2048u);
  EXPECT_EQ(uint64_t{page.ncap}, 2048u);
  EXPECT_EQ(uint64_t{page.nuse}, 2048u);
  EXPECT_EQ(uint64_t{page.nvmcap.low}, 2048u * 4096);
  EXPECT_EQ(page.lbaf[page.format_index()].lbads, 12);
  EXPECT_EQ(uint32_t{page.npwg}, 3u);
  EXPECT_EQ(uint32_t{page.npwa}, 3u);
  EXPECT_EQ(page.dlfeat, nvme::kDlfeatReadsZeroes | nvme::kDlfeatWriteZeroesDeallocates);
  EXPECT_EQ(page.nsattr, nvme::kNsattrWriteProtected);
  EXPECT_EQ(page.nmic, nvme::kNmicShared);
  EXPECT_EQ(page.nguid[15], 0x11);
  EXPECT_EQ(page.eui64[7], 0x22);
}

TEST(IdentifyNamespace, AnnouncesCopyLimitsThatFitTheirFields) {
  const Limits limits{.copy_ranges = 256, .copy_blocks = 1 << 20};
  const auto page = namespace_page({}, {}, limits);
  EXPECT_EQ(page.msrc, 255);
  EXPECT_EQ(uint32_t{page.mcl}, 1u << 20);
  EXPECT_EQ(uint32_t{page.mssrl}, 0xffffu);
}

TEST(IdentifyNamespace, SaysOfAtomicsOnlyWhatIsMoreThanOneBlock) {
  const auto plain = namespace_page({}, {}, Limits{});
  EXPECT_EQ(plain.nsfeat & nvme::kNsfeatAtomics, 0);
  EXPECT_EQ(uint32_t{plain.nawun} | uint32_t{plain.nawupf} | uint32_t{plain.nabsn} | uint32_t{plain.nabspf}, 0u);
  const bdev::Info info{.atomicity = {.blocks = 32, .power_fail_blocks = 8, .boundary_blocks = 64, .power_fail_boundary_blocks = 16, .boundary_offset = 4}};
  const auto page = namespace_page(info, {}, Limits{});
  EXPECT_NE(page.nsfeat & nvme::kNsfeatAtomics, 0);
  EXPECT_EQ(uint32_t{page.nawun}, 31u);
  EXPECT_EQ(uint32_t{page.nawupf}, 7u);
  EXPECT_EQ(uint32_t{page.nabsn}, 63u);
  EXPECT_EQ(uint32_t{page.nabspf}, 15u);
  EXPECT_EQ(uint32_t{page.nabo}, 4u);
  EXPECT_EQ(page.nacwu, controller_page(SubsystemKind::kNvm).acwu);
}

TEST(IdentifyNamespace, SaysABoundaryUnlessItIsBeyondMdts) {
  const Limits limits{.data_transfer_bytes = 128 << 10};
  EXPECT_EQ(uint32_t{namespace_page({.boundary_blocks = 256}, {}, limits).noiob}, 256u);
  EXPECT_EQ(uint32_t{namespace_page({.boundary_blocks = 512}, {}, limits).noiob}, 0u);
}

TEST(IdentifyNamespace, SaysInCns08WhetherTheDeviceHasAVolatileCache) {
  EXPECT_EQ(independent_namespace_page({.has_volatile_cache = true}).nsfeat, 0);
  EXPECT_EQ(independent_namespace_page({.has_volatile_cache = false}).nsfeat, nvme::kIndependentNsfeatNoVolatileCache);
  EXPECT_EQ(independent_namespace_page({}).nstat, nvme::kNstatNrdy);
}

TEST(NamespaceDescriptors, ListsWhatIsThereAndAlwaysTheCommandSet) {
  NamespaceIdentity identity;
  identity.uuid.fill(std::byte{0xaa});
  const auto page = namespace_descriptors_page(identity);
  const auto* uuid = view<nvme::NamespaceDescriptor>(page);
  EXPECT_EQ(uuid->nidt, uint8_t(nvme::Nidt::kUuid));
  EXPECT_EQ(uuid->nidl, 16);
  EXPECT_EQ(page[4], std::byte{0xaa});
  const auto* csi = view<nvme::NamespaceDescriptor>(std::span(page).subspan(20));
  EXPECT_EQ(csi->nidt, uint8_t(nvme::Nidt::kCsi));
  EXPECT_EQ(csi->nidl, 1);
  EXPECT_EQ(page[24], std::byte{0});
  EXPECT_EQ(view<nvme::NamespaceDescriptor>(std::span(page).subspan(25))->nidl, 0);
}

TEST(ControllerList, StartsAtTheFirstIdAskedFor) {
  const uint16_t cntlids[] = {3, 5, 9};
  const auto page = controller_list_page(cntlids, 5);
  EXPECT_EQ(uint32_t{page.count}, 2u);
  EXPECT_EQ(uint32_t{page.cntlid[0]}, 5u);
  EXPECT_EQ(uint32_t{page.cntlid[1]}, 9u);
}

TEST(ControllerList, HoldsNoMoreThanThePage) {
  std::vector<uint16_t> cntlids(3000);
  for (size_t i = 0; i < cntlids.size(); ++i) cntlids[i] = uint16_t(i + 1);
  const auto page = controller_list_page(cntlids, 0);
  EXPECT_EQ(uint32_t{page.count}, 2047u);
  EXPECT_EQ(uint32_t{page.cntlid[2046]}, 2047u);
}

TEST(NvmIdentifyController, LimitsOnlyRangesThatACommandCouldExceed) {
  EXPECT_EQ(nvm_controller_page(Limits{.dsm_ranges = 256}).dmrl, 0);
  EXPECT_EQ(nvm_controller_page(Limits{.dsm_ranges = 16}).dmrl, 16);
  EXPECT_EQ(uint64_t{4096} << nvm_controller_page(Limits{}).wzsl, kWriteZeroesBytesMax);
  EXPECT_EQ(uint64_t{4096} << nvm_controller_page(Limits{}).vsl, kVerifyBytesMax);
}

}  // namespace
}  // namespace weft::nvmf
