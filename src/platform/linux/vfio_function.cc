#include "platform/linux/vfio_function.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/reactor.h"

namespace weft::platform {
namespace {

constexpr size_t kVectorEntryBytes = PCI_MSIX_ENTRY_SIZE;

std::unexpected<Error> system_error(const std::string& what) { return std::unexpected(Error::from_errno(errno, what)); }

Result<vfio_region_info> region_of(int device, uint32_t index, const std::string& name) {
  vfio_region_info info{.argsz = sizeof info, .flags = 0, .index = index, .cap_offset = 0, .size = 0, .offset = 0};
  if (::ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) != 0) return system_error(fmt::format("{}: VFIO does not tell of region {}", name, index));
  return info;
}

/// Configuration space, by its offset in the device's file.
class Config {
 public:
  Config(int device, uint64_t offset) : device_(device), offset_(offset) {}
  template <typename T>
  T read(uint32_t at) const {
    T value{};
    return ::pread(device_, &value, sizeof value, off_t(offset_ + at)) == ssize_t(sizeof value) ? value : T{};
  }
  bool write16(uint32_t at, uint16_t value) const { return ::pwrite(device_, &value, sizeof value, off_t(offset_ + at)) == ssize_t(sizeof value); }
  /// Where a capability lies; 0: the device has none such.
  uint32_t find_capability(uint8_t id) const {
    uint32_t at = read<uint8_t>(PCI_CAPABILITY_LIST) & ~3u;
    for (int i = 0; at != 0 && i < 48; ++i) {  // as many as there is room for: a circle ends
      if (read<uint8_t>(at + PCI_CAP_LIST_ID) == id) return at;
      at = read<uint8_t>(at + PCI_CAP_LIST_NEXT) & ~3u;
    }
    return 0;
  }

 private:
  int device_;
  uint64_t offset_;
};

void read_event(int event) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(event, &count, sizeof count);
}

}  // namespace

Result<std::unique_ptr<VfioFunction>> VfioFunction::open(VfioContainer& container, const NvmeDevice& device, std::vector<Room> rooms) {
  if (!device.iommu_group || device.driver != "vfio-pci") {
    return fail(Errc::kDenied, fmt::format("{}: the kernel has it (driver {}); `weft devices bind {}`, as root, takes it", device.address,
                                           device.driver.empty() ? "none" : device.driver, device.address));
  }
  std::unique_ptr<VfioFunction> function{new VfioFunction(container, device, std::move(rooms))};
  auto opened = container.open_device(device);
  if (!opened) return std::unexpected(opened.error());
  function->device_ = std::move(*opened);
  if (auto done = function->set_up(); !done) return std::unexpected(done.error());
  return function;
}

VfioFunction::VfioFunction(VfioContainer& container, const NvmeDevice& device, std::vector<Room> rooms)
    : container_(container), name_(device.address), group_(device.iommu_group.value_or(0)), rooms_(std::move(rooms)) {}

VfioFunction::~VfioFunction() {
  for (const auto& vector : vectors_) WEFT_ASSERT(vector->loop == nullptr);
  WEFT_ASSERT(leaving_.loop == nullptr);
  for (const auto region : {vector_region_, registers_}) {
    if (!region.empty()) ::munmap(region.data(), region.size());
  }
  if (device_.is_open()) container_.close_device(group_, std::move(device_));
}

Result<void> VfioFunction::set_up() {
  const auto registers = map_region(VFIO_PCI_BAR0_REGION_INDEX);
  if (!registers) return std::unexpected(registers.error());
  registers_ = *registers;
  if (auto done = set_up_interrupts(); !done) return done;
  return set_bus_master(true);
}

Result<std::span<std::byte>> VfioFunction::map_region(uint32_t index) {
  const auto info = region_of(device_.get(), index, name_);
  if (!info) return std::unexpected(info.error());
  if ((info->flags & VFIO_REGION_INFO_FLAG_MMAP) == 0) return fail(Errc::kUnsupported, fmt::format("{}: BAR {} cannot be mapped", name_, index));
  void* mapped = ::mmap(nullptr, info->size, PROT_READ | PROT_WRITE, MAP_SHARED, device_.get(), off_t(info->offset));
  if (mapped == MAP_FAILED) return system_error(fmt::format("{}: BAR {} cannot be mapped", name_, index));
  return std::span{static_cast<std::byte*>(mapped), info->size};
}

uint64_t VfioFunction::config_offset() const {
  const auto info = region_of(device_.get(), VFIO_PCI_CONFIG_REGION_INDEX, name_);
  return info ? info->offset : 0;
}

/// All that may be needed, the admin queue's and one for each reactor, from the start, masked: kernels before 6.6 cannot add any to those in use.
Result<void> VfioFunction::set_up_interrupts() {
  vfio_irq_info info{.argsz = sizeof info, .flags = 0, .index = VFIO_PCI_MSIX_IRQ_INDEX, .count = 0};
  if (::ioctl(device_.get(), VFIO_DEVICE_GET_IRQ_INFO, &info) != 0 || info.count == 0) {
    return fail(Errc::kUnsupported, fmt::format("{}: it has no MSI-X interrupts", name_));
  }
  std::vector<int> events;
  for (uint32_t i = 0; i < std::min<size_t>(info.count, rooms_.size() + 1); ++i) {
    UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!event.is_open()) return system_error(name_ + ": eventfd");
    events.push_back(event.get());
    vectors_.push_back(std::make_unique<Vector>(*this, uint16_t(i), std::move(event)));
  }
  if (auto done = set_interrupts(VFIO_PCI_MSIX_IRQ_INDEX, events); !done) return done;
  const Config config{device_.get(), config_offset()};
  const uint32_t capability = config.find_capability(PCI_CAP_ID_MSIX);
  const auto table = config.read<uint32_t>(capability + PCI_MSIX_TABLE);
  const size_t offset = table & PCI_MSIX_TABLE_OFFSET;
  const size_t size = vectors_.size() * kVectorEntryBytes;
  const uint32_t bar = table & PCI_MSIX_TABLE_BIR;
  if (bar != 0) {
    const auto region = map_region(bar);
    if (!region) return std::unexpected(region.error());
    vector_region_ = *region;
  }
  const auto region = bar == 0 ? registers_ : vector_region_;
  if (offset + size > region.size()) return fail(Errc::kUnsupported, fmt::format("{}: its MSI-X table lies outside of its registers", name_));
  vector_table_ = region.subspan(offset, size);
  for (const auto& vector : vectors_) mask(vector->number, true);
  return {};
}

Result<void> VfioFunction::set_interrupts(uint32_t index, std::span<const int> events) {
  std::vector<std::byte> bytes(sizeof(vfio_irq_set) + events.size_bytes());
  auto& request = *reinterpret_cast<vfio_irq_set*>(bytes.data());
  request.argsz = uint32_t(bytes.size());
  request.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
  request.index = index;
  request.start = 0;
  request.count = uint32_t(events.size());
  std::memcpy(request.data, events.data(), events.size_bytes());
  if (::ioctl(device_.get(), VFIO_DEVICE_SET_IRQS, &request) == 0) return {};
  return system_error(fmt::format("{}: its interrupts cannot be set up", name_));
}

Result<void> VfioFunction::watch_leaving(const Room& home, std::move_only_function<void()> on_leaving) {
  WEFT_ASSERT(leaving_.loop == nullptr);
  leaving_.event = UniqueFd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!leaving_.event.is_open()) return system_error(name_ + ": eventfd");
  const int event = leaving_.event.get();
  if (auto done = set_interrupts(VFIO_PCI_REQ_IRQ_INDEX, {&event, 1}); !done) return done;
  if (auto done = home.loop.watch(event, EPOLLIN, leaving_); !done) return done;
  leaving_.loop = &home.loop;
  leaving_.told = std::move(on_leaving);
  return {};
}

void VfioFunction::ignore_leaving() {
  if (leaving_.loop != nullptr) std::exchange(leaving_.loop, nullptr)->unwatch(leaving_.event.get(), leaving_);
}

void VfioFunction::Leaving::on_events(uint32_t) {
  read_event(event.get());
  told();
}

// --- vectors ------------------------------------------------------------------------------------------------------------------------------------

Result<uint16_t> VfioFunction::open_vector(Reactor& reactor) {
  const auto room = std::ranges::find_if(rooms_, [&](const Room& each) { return &each.reactor == &reactor; });
  WEFT_ASSERT(room != rooms_.end());
  const std::lock_guard lock{mutex_};
  const auto free = std::ranges::find_if(vectors_, [](const auto& each) { return each->loop == nullptr; });
  if (free == vectors_.end()) return fail(Errc::kLimit, fmt::format("{}: all its {} interrupts are in use", name_, vectors_.size()));
  if (auto done = room->loop.watch((*free)->event.get(), EPOLLIN, **free); !done) return std::unexpected(done.error());
  (*free)->loop = &room->loop;
  return (*free)->number;
}

void VfioFunction::close_vector(uint16_t vector) {
  mask(vector, true);
  const std::lock_guard lock{mutex_};
  Vector& closing = *vectors_.at(vector);
  std::exchange(closing.loop, nullptr)->unwatch(closing.event.get(), closing);
}

/// That it came is what wakes the reactor; until it is armed again it is quiet, so that nothing interrupts who polls.
void VfioFunction::Vector::on_events(uint32_t) {
  read_event(event.get());
  function.mask(number, true);
}

/// In the device's own table, by the bit that hides the interrupt; one that comes meanwhile stays pending there.
void VfioFunction::mask(uint16_t vector, bool is_masked) {
  auto* control = reinterpret_cast<volatile uint32_t*>(vector_table_.data() + vector * kVectorEntryBytes + PCI_MSIX_ENTRY_VECTOR_CTRL);
  *control = is_masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0;
}

// --- the end ------------------------------------------------------------------------------------------------------------------------------------

Result<void> VfioFunction::set_bus_master(bool is_on) {
  const Config config{device_.get(), config_offset()};
  const auto command = config.read<uint16_t>(PCI_COMMAND);
  const auto wanted = uint16_t(is_on ? command | PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MASTER);
  if (config.write16(PCI_COMMAND, wanted)) return {};
  return system_error(fmt::format("{}: its configuration cannot be written", name_));
}

/// A device that cannot be reset stays cut off.
void VfioFunction::isolate() {
  (void)set_bus_master(false);  // of a device that has gone: nothing is to be cut off
  if (::ioctl(device_.get(), VFIO_DEVICE_RESET) == 0) (void)set_bus_master(true);
}

}  // namespace weft::platform
