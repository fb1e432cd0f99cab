#include "nvme/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "wire/text_field.h"

namespace weft::nvme {
namespace {

constexpr uint64_t kUnlimited = uint64_t{1} << 40;        // bytes: more than any command can say
constexpr uint64_t kPrpReachMin = uint64_t{kPrpsOfAPage} * kPageBytes;  // what one list carries from any address

/// 2^n pages; 0: no limit.
uint64_t limit_of(uint8_t exponent) { return exponent == 0 || exponent > 27 ? kUnlimited : uint64_t{kPageBytes} << exponent; }

bool is_set(std::span<const uint8_t> id) {
  return std::ranges::any_of(id, [](uint8_t byte) { return byte != 0; });
}

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

/// The UUID of a list of namespace descriptors, and whether the namespace is of the NVM command set.
struct Descriptors {
  std::array<uint8_t, 16> uuid{};
  bool is_nvm = true;
};

Descriptors read_descriptors(std::span<const std::byte> list) {
  Descriptors found;
  while (const auto* header = view<NamespaceDescriptor>(list)) {
    if (header->nidl == 0 || list.size() < sizeof *header + header->nidl) break;
    const auto value = list.subspan(sizeof *header, header->nidl);
    if (Nidt(header->nidt) == Nidt::kUuid && value.size() == found.uuid.size()) std::memcpy(found.uuid.data(), value.data(), value.size());
    if (Nidt(header->nidt) == Nidt::kCsi) found.is_nvm = Csi(value[0]) == Csi::kNvm;
    list = list.subspan(sizeof *header + header->nidl);
  }
  return found;
}

/// A boundary is 0-based but for 0, which is none.
uint32_t boundary_of(uint16_t field) { return field == 0 ? 0 : uint32_t{field} + 1; }

void read_atomics(NamespaceFacts& facts, const IdentifyNamespace& id) {
  // 0 stands for the controller's, too.
  const bool has_own = (id.nsfeat & kNsfeatAtomics) != 0;
  if (has_own && id.nawun != 0) facts.atomic_blocks = uint32_t{id.nawun} + 1;
  if (has_own && id.nawupf != 0) facts.atomic_power_fail_blocks = uint32_t{id.nawupf} + 1;
  facts.atomic_boundary_blocks = boundary_of(id.nabsn);
  facts.atomic_power_fail_boundary_blocks = boundary_of(id.nabspf);
  facts.atomic_boundary_offset = id.nabo;
}

}  // namespace

Result<void> check_capabilities(const Cap& cap, size_t register_bytes) {
  if (!cap.has_nvm_commands) return fail(Errc::kUnsupported, "the controller does not have the NVM command set");
  if (cap.page_log2_min > 0) return fail(Errc::kUnsupported, "the controller's memory pages are larger than 4 KiB");
  if (cap.queue_entries_max < 2) return fail(Errc::kUnsupported, "the controller says that its queues have one entry");
  if (property::kDoorbells + cq_head_doorbell(0, doorbell_stride(cap)) + sizeof(uint32_t) > register_bytes)
    return fail(Errc::kUnsupported, "the controller's doorbells lie outside its registers");
  return {};
}

Result<ControllerFacts> facts_of(const IdentifyController& id, const NvmIdentifyController* nvm, uint32_t version) {
  if ((id.sqes & 0xf) > 6 || (id.sqes >> 4) < 6) return fail(Errc::kUnsupported, "the controller does not take submission entries of 64 bytes");
  if ((id.cqes & 0xf) > 4 || (id.cqes >> 4) < 4) return fail(Errc::kUnsupported, "the controller does not give completion entries of 16 bytes");
  const uint16_t oncs = id.oncs;
  ControllerFacts facts{.serial = escaped(text_of(id.sn)),
                        .model = escaped(text_of(id.mn)),
                        .firmware = escaped(text_of(id.fr)),
                        .version = version,
                        .has_volatile_cache = (id.vwc & kVwcPresent) != 0,
                        .has_write_zeroes = (oncs & kOncsWriteZeroes) != 0,
                        .has_deallocate = (oncs & kOncsDatasetManagement) != 0,
                        .has_compare = (oncs & kOncsCompare) != 0,
                        .has_verify = (oncs & kOncsVerify) != 0,
                        .has_copy = (oncs & kOncsCopy) != 0 && (uint16_t{id.ocfs} & kOcfsFormat0) != 0,
                        .atomic_blocks = uint32_t{id.awun} + 1,
                        .atomic_power_fail_blocks = uint32_t{id.awupf} + 1,
                        .has_shadow_doorbells = (uint16_t{id.oacs} & kOacsDoorbellBuffer) != 0,
                        .has_namespace_events = (uint32_t{id.oaes} & kOaesNamespaceAttribute) != 0,
                        .async_events = uint32_t{id.aerl} + 1,
                        .has_smart_per_namespace = (id.lpa & kLpaSmartPerNamespace) != 0,
                        .error_entries = uint32_t{id.elpe} + 1,
                        .shutdown_us = id.rtd3e,
                        .namespaces_max = id.nn};
  // One PRP list takes fewer bytes from the middle of a page, and pieces should be whole blocks from any address.
  facts.transfer_bytes_max = std::min(limit_of(id.mdts), kPrpReachMin);
  // Before WZSL and VSL were there, some controllers held Write Zeroes and Verify to MDTS.
  facts.zeroes_bytes_max = nvm != nullptr ? limit_of(nvm->wzsl) : limit_of(id.mdts);
  facts.verify_bytes_max = nvm != nullptr ? limit_of(nvm->vsl) : limit_of(id.mdts);
  facts.deallocate_blocks_max = nvm != nullptr && nvm->dmrsl != 0 ? uint32_t{nvm->dmrsl} : 0xffffffff;
  const uint32_t sgls = uint32_t{id.sgls} & 3;
  if (sgls == kSglsSupported || sgls == kSglsSupportedDwordAligned) facts.data_pointers = DataPointers::kSgls;
  return facts;
}

Result<NamespaceFacts> facts_of(uint32_t nsid, const IdentifyNamespace& id, std::span<const std::byte> descriptors) {
  if (id.nsze == 0) return fail(Errc::kNotFound, fmt::format("namespace {} is not there", nsid));
  const Descriptors described = read_descriptors(descriptors);
  if (!described.is_nvm) return fail(Errc::kUnsupported, fmt::format("namespace {} is not of the NVM command set (zoned, key-value, …)", nsid));
  if (id.format_index() > id.nlbaf) return fail(Errc::kUnsupported, fmt::format("namespace {} has a format that it does not describe", nsid));
  const LbaFormat& format = id.lbaf[id.format_index()];
  if (format.ms != 0) {
    return fail(Errc::kUnsupported, fmt::format("namespace {} is formatted with {} bytes of metadata per block: format it without", nsid, uint32_t{format.ms}));
  }
  if (format.lbads != 9 && format.lbads != 12) {
    return fail(Errc::kUnsupported, fmt::format("namespace {} has blocks of 2^{} bytes: 512 and 4096 can be served", nsid, format.lbads));
  }
  NamespaceFacts facts{.nsid = nsid,
                       .block_count = id.nsze,
                       .block_size = 1u << format.lbads,
                       .boundary_blocks = id.noiob,
                       .copy_range_blocks_max = id.mssrl,
                       .copy_blocks_max = id.mcl,
                       .copy_ranges_max = uint32_t{id.msrc} + 1,
                       .is_write_protected = (id.nsattr & kNsattrWriteProtected) != 0,
                       .nguid = id.nguid,
                       .eui64 = id.eui64,
                       .uuid = described.uuid};
  read_atomics(facts, id);
  if ((id.nsfeat & kNsfeatOptperf) != 0) facts.preferred_blocks = uint32_t{id.npwg} + 1;
  facts.reads_zeroes_after_zeroing = (id.dlfeat & 7) == kDlfeatReadsZeroes && (id.dlfeat & kDlfeatWriteZeroesDeallocates) != 0;
  return facts;
}

std::string lasting_id(const ControllerFacts& controller, const NamespaceFacts& ns) {
  if (is_set(ns.uuid)) return "uuid." + hex(ns.uuid);
  if (is_set(ns.nguid)) return "eui." + hex(ns.nguid);
  if (is_set(ns.eui64)) return "eui." + hex(ns.eui64);
  return fmt::format("nvme.{}-{}-{}", controller.model, controller.serial, ns.nsid);
}

}  // namespace weft::nvme
