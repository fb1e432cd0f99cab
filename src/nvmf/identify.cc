#include "nvmf/identify.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bytes.h"
#include "nvmf/controller.h"
#include "nvmf/fused.h"
#include "nvmf/io_limits.h"
#include "nvmf/shard.h"
#include "nvmf/target.h"
#include "wire/text_field.h"

namespace weft::nvmf {
namespace {

using nvme::Cns;
namespace status = nvme::status;

constexpr uint32_t kPageUnit = 4096;  // CAP.MPSMIN, the unit of MDTS and its like
constexpr size_t kCnsLocation = location::kCdw10;
constexpr size_t kCsiLocation = location::kCdw11 + 3;

/// `bytes` as a power of two times 4 KiB, rounded down.
constexpr uint8_t size_exponent(uint64_t bytes) {
  return bytes < kPageUnit ? 0 : uint8_t(std::bit_width(bytes / kPageUnit) - 1);
}
static_assert(size_exponent(4096) == 0 && size_exponent(1 << 20) == 8 && size_exponent(kWriteZeroesBytesMax) == 13);

void describe_names(nvme::IdentifyController& page, const SubsystemConfig& config) {
  set_space_padded(page.sn, config.serial);
  set_space_padded(page.mn, config.model);
  set_space_padded(page.fr, kFirmwareRevision);
  set_nul_padded(page.subnqn, config.nqn);
}

/// What controllers of both kinds have.
void describe_common(nvme::IdentifyController& page, const Limits& limits) {
  page.cmic = nvme::kCmicMultiPort | nvme::kCmicMultiController;
  page.mdts = size_exponent(limits.data_transfer_bytes);
  page.ver = nvme::kVersion2_0;
  page.ctratt = nvme::kCtrattHostId128 | nvme::kCtrattTbkas;
  page.acl = uint8_t(limits.aborts - 1);
  page.aerl = uint8_t(limits.async_events - 1);
  page.lpa = nvme::kLpaCommandEffects | nvme::kLpaExtendedData | nvme::kLpaSupportedPages;
  page.elpe = uint8_t(limits.error_log_entries - 1);
  page.kas = 10;  // seconds
  page.sqes = nvme::kSqes64Bytes;
  page.cqes = nvme::kCqes16Bytes;
  page.iorcsz = sizeof(nvme::Cqe) / nvme::kCapsuleUnit;
}

/// How commands carry and describe their data.
void describe_transport(nvme::IdentifyController& page, const Limits& limits, TransportType transport) {
  const bool is_rdma = transport == TransportType::kRdma;
  const uint32_t in_capsule_bytes = is_rdma ? limits.rdma_in_capsule_bytes : limits.in_capsule_bytes;
  page.ioccsz = uint32_t((sizeof(nvme::Sqe) + in_capsule_bytes) / nvme::kCapsuleUnit);
  page.sgls = nvme::kSglsSupported | nvme::kSglsOffset | (is_rdma ? nvme::kSglsKeyedDataBlock : nvme::kSglsTransportDataBlock);
  page.msdbd = is_rdma ? kRdmaDescriptorsMax : 1;
}

void describe_nvm(nvme::IdentifyController& page, const Limits& limits) {
  page.cntrltype = uint8_t(nvme::ControllerType::kIo);
  page.frmw = nvme::kFrmwSlot1ReadOnly | nvme::kFrmwOneSlot;
  page.lpa |= nvme::kLpaSmartPerNamespace;
  page.maxcmd = uint16_t(std::min(limits.queue_entries, 0xffffu));
  page.nn = limits.namespaces;
  page.oncs = nvme::kOncsCompare | nvme::kOncsDatasetManagement | nvme::kOncsWriteZeroes | nvme::kOncsSaveSelect |
              nvme::kOncsTimestamp | nvme::kOncsVerify | nvme::kOncsCopy;
  page.fuses = nvme::kFusesCompareAndWrite;
  page.acwu = kFusedBlocksMax - 1;
  // Whatever namespaces there are now: hosts look at this once, and one with a cache may come later. Which of them have none is told by CNS 08h.
  page.vwc = nvme::kVwcFlushAllSupported | nvme::kVwcPresent;
  page.ocfs = nvme::kOcfsFormat0;
  page.ofcs = nvme::kOfcsDisconnect;
}

void describe_discovery(nvme::IdentifyController& page, const Limits& limits) {
  page.cntrltype = uint8_t(nvme::ControllerType::kDiscovery);
  page.maxcmd = uint16_t(std::min(limits.admin_queue_entries, 0xffffu));
  page.dctype = uint8_t(nvme::DiscoveryControllerType::kDirect);
}

void append_descriptor(std::span<std::byte>& rest, nvme::Nidt nidt, std::span<const std::byte> identifier) {
  WEFT_ASSERT(identifier.size() == nvme::identifier_length(nidt));
  const nvme::NamespaceDescriptor header{.nidt = uint8_t(nidt), .nidl = uint8_t(identifier.size()), .reserved = {}};
  std::memcpy(rest.data(), &header, sizeof header);
  std::memcpy(rest.data() + sizeof header, identifier.data(), identifier.size());
  rest = rest.subspan(sizeof header + identifier.size());
}

bool is_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

nvme::NamespaceList namespace_list_page(const SubsystemView& view, uint32_t after) {
  nvme::NamespaceList page{};
  size_t count = 0;
  for (auto it = view.by_nsid.upper_bound(after); it != view.by_nsid.end() && count < page.nsid.size(); ++it) {
    page.nsid[count++] = it->first;
  }
  return page;
}

// --- the command --------------------------------------------------------------------------------------------------------------------------

template <WireStruct T>
void reply(Command& command, const T& page) {
  copy_window(command.data, bytes_of(page), 0);
  command.response_data = command.data;
  command.queue->complete(command, status::kSuccess);
}

bool is_valid_nsid(Controller& controller, uint32_t nsid) { return nsid != 0 && nsid <= controller.limits().namespaces; }

/// Replies with make(namespace view), or with zeroes where there is no such namespace. NVMe Base 2.0 §5.17.2.
template <typename Make>
void reply_for_namespace(Controller& controller, Command& command, Make make) {
  const uint32_t nsid = command.sqe.nsid;
  if (!is_valid_nsid(controller, nsid)) return fail_command(controller, command, status::kInvalidNamespace, location::kNsid);
  NamespaceView* view = controller.view().find(nsid);
  using Page = decltype(make(*view));
  reply(command, view == nullptr ? Page{} : make(*view));
}

void identify_namespace(Controller& controller, Command& command) {
  reply_for_namespace(controller, command, [&](NamespaceView& view) {
    return namespace_page(view.info(), view.ns().identity(), controller.limits());
  });
}

void identify_nvm_namespace(Controller& controller, Command& command) {
  // No protection information, no storage tags, one format: all fields are 0 for every namespace.
  reply_for_namespace(controller, command, [](NamespaceView&) { return nvme::NvmIdentifyNamespace{}; });
}

void identify_independent_namespace(Controller& controller, Command& command) {
  reply_for_namespace(controller, command, [](NamespaceView& view) { return independent_namespace_page(view.info()); });
}

void identify_descriptors(Controller& controller, Command& command) {
  NamespaceView* view = controller.view().find(command.sqe.nsid);
  if (view == nullptr) return fail_command(controller, command, status::kInvalidNamespace, location::kNsid);
  reply(command, namespace_descriptors_page(view->ns().identity()));
}

void identify_namespace_list(Controller& controller, Command& command) {
  const uint32_t after = command.sqe.nsid;
  if (after >= nvme::kNsidAll - 1) return fail_command(controller, command, status::kInvalidNamespace, location::kNsid);
  reply(command, namespace_list_page(controller.view(), after));
}

/// The register of controllers belongs to the home reactor; the command waits in kExecuting, so that it and its queue stay.
void identify_controllers(Controller& controller, Command& command) {
  Shard& shard = controller.shard();
  Subsystem& subsystem = controller.subsystem();
  const auto first = uint16_t(bits<31, 16>(uint32_t{command.sqe.cdw10}));
  shard.home().post([&shard, &subsystem, &command, first] {
    shard.reactor().post([&command, page = controller_list_page(subsystem.registry().cntlids(), first)] {
      reply(command, page);
    });
  });
}

void identify_controllers_of_namespace(Controller& controller, Command& command) {
  const uint32_t nsid = command.sqe.nsid;
  if (!is_valid_nsid(controller, nsid)) return fail_command(controller, command, status::kInvalidNamespace, location::kNsid);
  // Every namespace is attached to every controller.
  if (controller.view().find(nsid) == nullptr) return reply(command, nvme::ControllerList{});
  identify_controllers(controller, command);
}

void identify_iocs_combinations(Command& command) {
  nvme::IocsCombinations page{};
  page.vector[0] = uint64_t{1} << unsigned(nvme::Csi::kNvm);
  reply(command, page);
}

bool is_csi_needed(Cns cns) {
  return cns == Cns::kIocsNamespace || cns == Cns::kIocsController || cns == Cns::kIocsActiveNamespaces;
}

}  // namespace

uint32_t oaes_of(SubsystemKind kind) {
  return kind == SubsystemKind::kDiscovery ? nvme::kOaesDiscoveryLog : nvme::kOaesNamespaceAttribute;
}

nvme::IdentifyController identify_controller_page(const SubsystemView& view, uint16_t cntlid, const Limits& limits, TransportType transport) {
  nvme::IdentifyController page{};
  describe_names(page, view.subsystem.config());
  describe_common(page, limits);
  describe_transport(page, limits, transport);
  page.cntlid = cntlid;
  page.oaes = oaes_of(view.subsystem.kind());
  if (view.subsystem.is_discovery()) {
    describe_discovery(page, limits);
  } else {
    describe_nvm(page, limits);
  }
  return page;
}

nvme::NvmIdentifyController nvm_controller_page(const Limits& limits) {
  nvme::NvmIdentifyController page{};
  page.vsl = size_exponent(kVerifyBytesMax);
  page.wzsl = size_exponent(kWriteZeroesBytesMax);
  // A command cannot name more than 256 ranges, and 0 is no limit.
  page.dmrl = limits.dsm_ranges < 256 ? uint8_t(limits.dsm_ranges) : 0;
  page.dmrsl = kDeallocateRangeBlocksMax;
  page.dmsl = kDeallocateBlocksMax;
  return page;
}

namespace {

/// 0-based but for 0, which is none.
uint16_t boundary_field(uint32_t blocks) { return blocks == 0 ? uint16_t{0} : uint16_t(blocks - 1); }

/// One block, which is the controller's word, unless the device says more.
void describe_atomicity(nvme::IdentifyNamespace& page, const bdev::Atomicity& atomicity) {
  if (atomicity == bdev::Atomicity{}) return;
  page.nsfeat |= nvme::kNsfeatAtomics;
  page.nawun = uint16_t(atomicity.blocks - 1);
  page.nawupf = uint16_t(atomicity.power_fail_blocks - 1);
  page.nacwu = kFusedBlocksMax - 1;  // pairs are made atomic here
  page.nabsn = boundary_field(atomicity.boundary_blocks);
  page.nabspf = boundary_field(atomicity.power_fail_boundary_blocks);
  page.nabo = uint16_t(atomicity.boundary_offset);
}

}  // namespace

nvme::IdentifyNamespace namespace_page(const bdev::Info& info, const NamespaceIdentity& identity, const Limits& limits) {
  nvme::IdentifyNamespace page{};
  page.nsze = page.ncap = page.nuse = info.block_count;
  page.nsfeat = nvme::kNsfeatOptperf;
  page.nmic = nvme::kNmicShared;
  page.dlfeat = uint8_t((info.deallocated_reads_zero ? nvme::kDlfeatReadsZeroes : nvme::kDlfeatReadsNotReported) |
                        (info.can_deallocate ? nvme::kDlfeatWriteZeroesDeallocates : 0));
  describe_atomicity(page, info.atomicity);
  // A host splits its I/O at the boundary, and a Linux host makes a mess of one that is larger than MDTS.
  if (uint64_t{info.boundary_blocks} * info.block_size <= limits.data_transfer_bytes) page.noiob = uint16_t(info.boundary_blocks);
  page.nvmcap = info.block_count * info.block_size;
  // NOWS too, so that a host does not take 0 for an optimal size of one block.
  page.npwg = page.npwa = page.npdg = page.npda = page.nows = uint16_t(info.preferred_blocks - 1);
  page.mssrl = uint16_t(std::min(limits.copy_blocks, 0xffffu));
  page.mcl = limits.copy_blocks;
  page.msrc = uint8_t(limits.copy_ranges - 1);
  page.nsattr = info.is_read_only ? nvme::kNsattrWriteProtected : 0;
  std::memcpy(page.nguid.data(), identity.nguid.data(), page.nguid.size());
  std::memcpy(page.eui64.data(), identity.eui64.data(), page.eui64.size());
  page.lbaf[0].lbads = uint8_t(std::countr_zero(info.block_size));
  return page;
}

nvme::IndependentIdentifyNamespace independent_namespace_page(const bdev::Info& info) {
  nvme::IndependentIdentifyNamespace page{};
  page.nsfeat = info.has_volatile_cache ? 0 : nvme::kIndependentNsfeatNoVolatileCache;
  page.nmic = nvme::kNmicShared;
  page.nsattr = info.is_read_only ? nvme::kNsattrWriteProtected : 0;
  page.nstat = nvme::kNstatNrdy;
  return page;
}

std::array<std::byte, nvme::kIdentifySize> namespace_descriptors_page(const NamespaceIdentity& identity) {
  std::array<std::byte, nvme::kIdentifySize> page{};
  std::span<std::byte> rest = page;
  if (!is_zero(identity.eui64)) append_descriptor(rest, nvme::Nidt::kEui64, identity.eui64);
  if (!is_zero(identity.nguid)) append_descriptor(rest, nvme::Nidt::kNguid, identity.nguid);
  if (!is_zero(identity.uuid)) append_descriptor(rest, nvme::Nidt::kUuid, identity.uuid);
  const auto csi = std::byte(nvme::Csi::kNvm);
  append_descriptor(rest, nvme::Nidt::kCsi, {&csi, 1});
  return page;
}

nvme::ControllerList controller_list_page(std::span<const uint16_t> cntlids, uint16_t first) {
  nvme::ControllerList page{};
  uint16_t count = 0;
  for (auto it = std::ranges::lower_bound(cntlids, first); it != cntlids.end() && count < page.cntlid.size(); ++it) {
    page.cntlid[count++] = *it;
  }
  page.count = count;
  return page;
}

void identify(Controller& controller, Command& command) {
  WEFT_ASSERT(command.data.size() >= nvme::kIdentifySize);
  const auto cns = Cns(bits<7, 0>(uint32_t{command.sqe.cdw10}));
  const uint32_t csi = bits<31, 24>(uint32_t{command.sqe.cdw11});
  if (cns == Cns::kController) {
    return reply(command, identify_controller_page(controller.view(), controller.cntlid(), controller.limits(), command.queue->origin().type));
  }
  if (controller.is_discovery()) return fail_command(controller, command, status::kInvalidField, kCnsLocation);
  if (is_csi_needed(cns) && nvme::Csi(csi) != nvme::Csi::kNvm) {
    return fail_command(controller, command, status::kInvalidField, kCsiLocation);
  }
  switch (cns) {
    case Cns::kNamespace:
    case Cns::kAllocatedNamespace: return identify_namespace(controller, command);
    case Cns::kActiveNamespaces:
    case Cns::kIocsActiveNamespaces:
    case Cns::kAllocatedNamespaces: return identify_namespace_list(controller, command);
    case Cns::kNamespaceDescriptors: return identify_descriptors(controller, command);
    case Cns::kIocsNamespace: return identify_nvm_namespace(controller, command);
    case Cns::kIocsController: return reply(command, nvm_controller_page(controller.limits()));
    case Cns::kIndependentNamespace: return identify_independent_namespace(controller, command);
    case Cns::kControllersOfNamespace: return identify_controllers_of_namespace(controller, command);
    case Cns::kControllers: return identify_controllers(controller, command);
    case Cns::kIocsCombinations: return identify_iocs_combinations(command);
    case Cns::kController:
    case Cns::kNvmSets:
    case Cns::kPrimaryControllerCapabilities:
    case Cns::kSecondaryControllers:
    case Cns::kNamespaceGranularity:
    case Cns::kUuidList:
    case Cns::kDomains:
    case Cns::kEnduranceGroups:
    case Cns::kIocsAllocatedNamespaces:
    case Cns::kIocsAllocatedNamespace: break;
  }
  fail_command(controller, command, status::kInvalidField, kCnsLocation);
}

}  // namespace weft::nvmf
