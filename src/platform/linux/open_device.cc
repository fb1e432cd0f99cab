#include "platform/linux/open_device.h"

#include <fmt/format.h>

#include "base/units.h"
#include "bdev/null/null_bdev.h"
#include "bdev/ram/ram_bdev.h"
#include "platform/linux/disks.h"
#include "platform/linux/files.h"
#include "platform/linux/nvme_generic.h"

namespace weft::platform {
namespace {

using Device = std::unique_ptr<bdev::Bdev>;

constexpr uint32_t kBlockSizeDefault = 512;
constexpr size_t kNullLendBytes = 1 << 20;  // MDTS: every read of a null device is lent

std::string caching_text(const OpenMedium& medium) {
  if (medium.caching == Caching::kBuffered) return "through the page cache";
  return fmt::format("O_DIRECT, {} byte units, memory aligned to {}", medium.alignment.offset, medium.alignment.memory);
}

Result<Device> device_on_medium(const DeviceRequest& request, Result<OpenedMedium> opened, const DeviceMakers& makers) {
  if (!opened) return std::unexpected(opened.error());
  const MediumFacts& facts = opened->facts;
  if (facts.block_size != 512 && facts.block_size != 4096) {
    return fail(Errc::kInvalid, fmt::format("{}: blocks of {} bytes are not offered to hosts: say block_size=4096", request.name,
                                            facts.block_size));
  }
  makers.log.info("{}: {}, {} byte blocks, {}{}", request.name, format_size(facts.size_bytes), facts.block_size,
           caching_text(opened->medium), facts.is_read_only ? ", read-only" : "");
  bdev::Info info{.name = request.name, .medium_id = facts.medium_id, .block_size = facts.block_size};
  info.block_count = facts.size_bytes / facts.block_size;
  info.preferred_blocks = std::max(1u, facts.preferred_bytes / facts.block_size);
  info.has_volatile_cache = facts.has_volatile_cache;
  info.can_deallocate = facts.can_deallocate;
  info.deallocated_reads_zero = facts.deallocated_reads_zero;
  info.is_read_only = facts.is_read_only;
  return makers.media.make_device(std::move(opened->medium), std::move(info), makers.memory);
}

Result<Device> device_on_commands(const DeviceRequest& request, const DeviceMakers& makers) {
  auto opened = open_nvme_generic({.name = request.name, .path = request.path, .block_size = request.block_size, .force = request.force});
  if (!opened) return std::unexpected(opened.error());
  const bdev::Info& info = opened->info;
  makers.log.info("{}: {}, {} byte blocks, NVMe commands of at most {}{}", request.name, format_size(info.block_count * info.block_size), info.block_size,
                  format_size(opened->lengths.transfer), info.is_read_only ? ", read-only" : "");
  return makers.media.make_device(std::move(*opened), makers.memory);
}

Result<Device> open_bare_device(const DeviceRequest& request, const DeviceMakers& makers) {
  const uint32_t block_size = request.block_size == 0 ? kBlockSizeDefault : request.block_size;
  const uint64_t block_count = request.size_bytes / block_size;
  const bool has_whole_blocks = block_count > 0 && request.size_bytes % block_size == 0;
  switch (request.kind) {
    case DeviceKind::kRam:
    case DeviceKind::kNull:
      if (!has_whole_blocks) {
        return fail(Errc::kInvalid, fmt::format("{}: the size is not whole blocks of {} bytes", request.name, block_size));
      }
      if (request.kind == DeviceKind::kRam) return bdev::make_ram(makers.memory, request.name, block_count, block_size);
      return bdev::make_null(makers.memory, request.name, block_count, block_size, kNullLendBytes);
    case DeviceKind::kFile:
      return device_on_medium(
          request, open_file({.path = request.path, .size_bytes = request.size_bytes, .block_size = request.block_size}), makers);
    case DeviceKind::kDisk:
      if (is_character_device(request.path)) return device_on_commands(request, makers);
      return device_on_medium(request, open_disk({.path = request.path, .block_size = request.block_size, .force = request.force}), makers);
    case DeviceKind::kNvme: return makers.nvme.make_device({.address = request.path, .nsid = request.nsid, .allows_no_iommu = request.allows_no_iommu});
  }
  WEFT_ASSERT(false);
  return fail(Errc::kInvalid, request.name);
}

Device put_before(Device below, const Filter& filter) {
  if (const auto* delay = std::get_if<bdev::DelayRule>(&filter)) return bdev::make_delay(std::move(below), *delay);
  return bdev::make_error(std::move(below), std::get<bdev::ErrorRule>(filter));
}

}  // namespace

Result<Device> open_device(const DeviceRequest& request, const DeviceMakers& makers) {
  auto device = open_bare_device(request, makers);
  if (!device) return device;
  for (size_t i = request.filters.size(); i > 0; --i) device = put_before(std::move(*device), request.filters[i - 1]);
  return device;
}

}  // namespace weft::platform
