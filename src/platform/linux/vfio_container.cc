#include "platform/linux/vfio_container.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/bits.h"
#include "platform/linux/memory_lock.h"
#include "platform/linux/physical_memory.h"

namespace weft::platform {
namespace {

constexpr uint64_t kPage = IovaSpace::kPage;
constexpr uint64_t kHugePage = 2 << 20;

int type_of(Isolation isolation) { return isolation == Isolation::kIommu ? VFIO_TYPE1v2_IOMMU : VFIO_NOIOMMU_IOMMU; }

std::unexpected<Error> system_error(const std::string& what) { return std::unexpected(Error::from_errno(errno, what)); }

/// The ranges that the IOMMU translates, from the capabilities behind its description; all 39 bits of the least IOMMU where the kernel does not say.
std::vector<IovaSpace::Range> usable_ranges(const std::vector<std::byte>& description) {
  const auto& info = *reinterpret_cast<const vfio_iommu_type1_info*>(description.data());
  const size_t size = std::min<size_t>(info.argsz, description.size());
  size_t at = (info.flags & VFIO_IOMMU_INFO_CAPS) != 0 ? info.cap_offset : 0;
  while (at != 0 && at + sizeof(vfio_info_cap_header) <= size) {
    const auto& header = *reinterpret_cast<const vfio_info_cap_header*>(description.data() + at);
    if (header.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
      const auto& ranges = *reinterpret_cast<const vfio_iommu_type1_info_cap_iova_range*>(description.data() + at);
      std::vector<IovaSpace::Range> usable;
      for (uint32_t i = 0; i < ranges.nr_iovas; ++i) usable.push_back({ranges.iova_ranges[i].start, ranges.iova_ranges[i].end});
      return usable;
    }
    at = header.next;
  }
  constexpr uint64_t kMessageInterrupts = 0xfee00000;  // x86: writes there are interrupts
  return {{0, kMessageInterrupts - 1}, {kMessageInterrupts + (1 << 20), (uint64_t{1} << 39) - 1}};
}

}  // namespace

Result<std::unique_ptr<VfioContainer>> VfioContainer::open(Isolation isolation, MemorySource& source, std::vector<std::span<std::byte>> pools) {
  UniqueFd fd{::open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC)};
  if (!fd.is_open()) return system_error("cannot open /dev/vfio/vfio: load VFIO with `modprobe vfio-pci`");
  const bool has_interface = ::ioctl(fd.get(), VFIO_GET_API_VERSION) == VFIO_API_VERSION;
  if (!has_interface || ::ioctl(fd.get(), VFIO_CHECK_EXTENSION, type_of(isolation)) != 1) {
    return fail(Errc::kUnsupported, isolation == Isolation::kIommu ? "VFIO has no type 1 IOMMU: load it with `modprobe vfio_iommu_type1`"
                                                                   : "this kernel's VFIO cannot do without an IOMMU");
  }
  return std::unique_ptr<VfioContainer>(new VfioContainer(isolation, source, std::move(pools), std::move(fd)));
}

VfioContainer::~VfioContainer() { WEFT_SUSPECT(mappings_.empty()); }

Result<UniqueFd> VfioContainer::open_device(const NvmeDevice& device) {
  WEFT_ASSERT(device.has_iommu == (isolation_ == Isolation::kIommu));
  const std::lock_guard lock{mutex_};
  const auto group = enter_group(device);
  if (!group) return std::unexpected(group.error());
  UniqueFd opened{::ioctl((*group)->fd.get(), VFIO_GROUP_GET_DEVICE_FD, device.address.c_str())};
  if (!opened.is_open()) {
    const Error error = Error::from_errno(errno, fmt::format("VFIO does not open {}", device.address));
    leave_group(**group);
    return std::unexpected(error);
  }
  return opened;
}

void VfioContainer::close_device(uint32_t number, UniqueFd device) {
  const std::lock_guard lock{mutex_};
  device = UniqueFd{};  // before its group
  const auto group = std::ranges::find(groups_, number, &Group::number);
  WEFT_ASSERT(group != groups_.end());
  leave_group(*group);
}

// --- groups, with the lock ----------------------------------------------------------------------------------------------------------------------

Result<VfioContainer::Group*> VfioContainer::enter_group(const NvmeDevice& device) {
  const uint32_t number = device.iommu_group.value();
  const auto found = std::ranges::find(groups_, number, &Group::number);
  if (found != groups_.end()) {
    ++found->devices;
    return &*found;
  }
  const std::string node = "/dev/" + vfio_node(device);
  UniqueFd fd{::open(node.c_str(), O_RDWR | O_CLOEXEC)};
  if (!fd.is_open() && errno == EBUSY) return fail(Errc::kBusy, fmt::format("{} is open in another process", node));
  if (!fd.is_open() && (errno == EACCES || errno == EPERM)) {
    return fail(Errc::kDenied, isolation_ == Isolation::kIommu
                                   ? fmt::format("{} is not this user's: `weft devices bind ADDRESS --owner USER`, as root, gives it", node)
                                   : fmt::format("{}: without an IOMMU only root (CAP_SYS_RAWIO) may open a device", node));
  }
  if (!fd.is_open()) return system_error(fmt::format("cannot open {}: `weft devices bind ADDRESS` gives a device to VFIO", node));
  vfio_group_status status{.argsz = sizeof status, .flags = 0};
  if (::ioctl(fd.get(), VFIO_GROUP_GET_STATUS, &status) != 0) return system_error(node);
  if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) {
    return fail(Errc::kUnsupported, fmt::format("{}: a driver of the kernel has another device of this IOMMU group", node));
  }
  const int container = fd_.get();
  if (::ioctl(fd.get(), VFIO_GROUP_SET_CONTAINER, &container) != 0) return system_error(node + ": no place in the container");
  groups_.push_back({number, std::move(fd), 1});
  if (auto done = set_up(); !done) {
    leave_group(groups_.back());
    return std::unexpected(done.error());
  }
  return &groups_.back();
}

/// The last one takes the IOMMU's tables along.
void VfioContainer::leave_group(Group& group) {
  if (--group.devices > 0) return;
  groups_.remove_if([&](const Group& each) { return &each == &group; });
  if (groups_.empty()) tear_down();
}

void VfioContainer::tear_down() {
  WEFT_ASSERT(mappings_.empty());
  is_set_up_ = false;
  space_.reset();
  map_ = {};
  locked_bytes_ = 0;
}

/// Once, when there is a group: what the IOMMU can do is known only then.
Result<void> VfioContainer::set_up() {
  if (std::exchange(is_set_up_, true)) return {};
  if (::ioctl(fd_.get(), VFIO_SET_IOMMU, type_of(isolation_)) != 0) return system_error("VFIO cannot set up the IOMMU");
  if (isolation_ == Isolation::kIommu) {
    if (auto done = set_up_iommu(); !done) return done;
  }
  for (const auto& pool : pools_) {
    const auto ranges = map_memory(pool, "a buffer pool");
    if (!ranges) return std::unexpected(ranges.error());
    for (const auto& range : *ranges) map_.add(range.bytes, range.iova);
  }
  return {};
}

Result<void> VfioContainer::set_up_iommu() {
  std::vector<std::byte> description(sizeof(vfio_iommu_type1_info));
  for (int turn = 0; turn < 2; ++turn) {  // first how long it is
    auto& info = *reinterpret_cast<vfio_iommu_type1_info*>(description.data());
    info.argsz = uint32_t(description.size());
    if (::ioctl(fd_.get(), VFIO_IOMMU_GET_INFO, &info) != 0) return system_error("VFIO does not tell of its IOMMU");
    if (info.argsz <= description.size()) break;
    description.resize(info.argsz);
  }
  space_.emplace(usable_ranges(description));
  size_t bytes = 0;
  for (const auto& pool : pools_) bytes += pool.size();
  return check_memory_lock("VFIO", bytes, locked_bytes_);
}

// --- memory, with the lock ----------------------------------------------------------------------------------------------------------------------

Result<pci::DmaMemory> VfioContainer::allocate(size_t bytes, std::string_view what) {
  const std::lock_guard lock{mutex_};
  // Without an IOMMU only a huge page is sure to be contiguous, and so is one for each.
  const size_t size = align_up(bytes, isolation_ == Isolation::kIommu ? kPage : kHugePage);
  if (auto allowed = check_memory_lock("VFIO", size, locked_bytes_); !allowed) return std::unexpected(allowed.error());
  auto region = source_.map(size, what);
  if (!region) return std::unexpected(region.error());
  const auto ranges = map_memory(region->bytes().first(size), what);
  if (!ranges) return std::unexpected(ranges.error());
  if (ranges->size() > 1) return fail(Errc::kLimit, fmt::format("{} needs {} bytes that are contiguous, and no IOMMU makes them so", what, size));
  mappings_.push_back({std::move(*region), ranges->front()});
  return pci::DmaMemory{mappings_.back().range.bytes.first(bytes), mappings_.back().range.iova};
}

void VfioContainer::free(const pci::DmaMemory& memory) {
  const std::lock_guard lock{mutex_};
  const auto found = std::ranges::find(mappings_, memory.iova, [](const Mapping& each) { return each.range.iova; });
  WEFT_ASSERT(found != mappings_.end());
  unmap_memory(found->range);
  mappings_.erase(found);
}

/// Pinned from now on.
Result<VfioContainer::Ranges> VfioContainer::map_memory(std::span<std::byte> bytes, std::string_view what) {
  if (isolation_ == Isolation::kNone) return physical_ranges(SystemRoot{}, bytes, what);
  const auto iova = map_in_iommu(bytes, what);
  if (!iova) return std::unexpected(iova.error());
  return Ranges{{bytes, *iova}};
}

/// Large memory is aligned as its huge pages are, so that the IOMMU's tables are as short.
Result<uint64_t> VfioContainer::map_in_iommu(std::span<std::byte> bytes, std::string_view what) {
  WEFT_ASSERT(space_ && bytes.size() % kPage == 0);
  const auto iova = space_->take(bytes.size(), bytes.size() >= kHugePage ? kHugePage : kPage);
  if (!iova) return fail(Errc::kLimit, fmt::format("the IOMMU has no addresses left for {}", what));
  vfio_iommu_type1_dma_map request{.argsz = sizeof request,
                                   .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
                                   .vaddr = uint64_t{reinterpret_cast<uintptr_t>(bytes.data())},
                                   .iova = *iova,
                                   .size = bytes.size()};
  if (::ioctl(fd_.get(), VFIO_IOMMU_MAP_DMA, &request) != 0) {
    space_->give_back(*iova, bytes.size());
    return system_error(fmt::format("VFIO cannot pin {} bytes for {} (locked memory is limited: LimitMEMLOCK, ulimit -l)", bytes.size(), what));
  }
  locked_bytes_ += bytes.size();
  return *iova;
}

void VfioContainer::unmap_memory(const pci::DmaMap::Range& range) {
  if (isolation_ == Isolation::kNone) return;
  vfio_iommu_type1_dma_unmap request{.argsz = sizeof request, .flags = 0, .iova = range.iova, .size = range.bytes.size()};
  const int failed = ::ioctl(fd_.get(), VFIO_IOMMU_UNMAP_DMA, &request);
  WEFT_SUSPECT(failed == 0);
  space_->give_back(range.iova, range.bytes.size());
  locked_bytes_ -= range.bytes.size();
}

}  // namespace weft::platform
