#include "platform/linux/disks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <bit>

#include "platform/linux/signatures.h"

namespace weft::platform {
namespace {

constexpr uint32_t kPreferredBytesMax = 128 << 10;  // larger stripes are told to nobody: hosts would wait for them

std::unexpected<Error> system_error(const DiskRequest& request, std::string_view what) {
  return std::unexpected(Error::from_errno(errno, fmt::format("disk {}: {}", request.path, what)));
}

std::unexpected<Error> refuse(Errc code, const DiskRequest& request, std::string_view why) {
  return fail(code, fmt::format("disk {}: {}", request.path, why));
}

/// The device behind the path, looked at without opening it.
Result<DeviceNumber> find_device(const DiskRequest& request) {
  struct stat status;
  if (::stat(request.path.c_str(), &status) != 0) return system_error(request, "cannot find it");
  if (!S_ISBLK(status.st_mode)) return refuse(Errc::kInvalid, request, "it is not a block device; a file is written file:PATH");
  return DeviceNumber{major(status.st_rdev), minor(status.st_rdev)};
}

/// O_EXCL claims the disk and its partitions in the kernel, as a mount does. For reading only when the disk is write-protected.
Result<UniqueFd> open_exclusively(const DiskRequest& request) {
  UniqueFd fd{::open(request.path.c_str(), O_RDWR | O_EXCL | O_CLOEXEC)};
  if (fd.is_open()) return fd;
  if (errno == EACCES || errno == EROFS) {
    UniqueFd read_only{::open(request.path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC)};
    int is_protected = 0;
    if (read_only.is_open() && ::ioctl(read_only.get(), BLKROGET, &is_protected) == 0 && is_protected != 0) return read_only;
    errno = EACCES;
  }
  if (errno == EBUSY) return refuse(Errc::kBusy, request, "somebody else has it exclusively (another container, or another target)");
  return system_error(request, "cannot open it");
}

struct Geometry {
  uint64_t size_bytes = 0;
  int logical_block_size = 0;
  unsigned physical_block_size = 0;
  int is_read_only = 0;
};

Result<Geometry> read_geometry(const DiskRequest& request, int fd) {
  Geometry geometry;
  if (::ioctl(fd, BLKGETSIZE64, &geometry.size_bytes) != 0 || ::ioctl(fd, BLKSSZGET, &geometry.logical_block_size) != 0 ||
      ::ioctl(fd, BLKPBSZGET, &geometry.physical_block_size) != 0 || ::ioctl(fd, BLKROGET, &geometry.is_read_only) != 0) {
    return system_error(request, "cannot ask for its geometry");
  }
  return geometry;
}

/// Blocks of the device's own size, or larger ones when asked for. Sizes that NVMe hosts do not know become 4096 by asking.
Result<uint32_t> choose_block_size(const DiskRequest& request, const Geometry& geometry) {
  const auto own = uint32_t(geometry.logical_block_size);
  const uint32_t block_size = request.block_size == 0 ? own : request.block_size;
  if (block_size % own != 0) {
    return refuse(Errc::kInvalid, request, fmt::format("its blocks are {} bytes: block_size={} cannot be done", own, block_size));
  }
  if (geometry.size_bytes < block_size) return refuse(Errc::kInvalid, request, "it has no blocks (no medium?)");
  return block_size;
}

Result<void> check_contents(const DiskRequest& request, int fd, uint64_t size_bytes) {
  if (request.force) return {};
  bool could_read = true;
  const auto signature = find_signature(size_bytes, [&](uint64_t offset, std::span<std::byte> target) {
    could_read = ::pread(fd, target.data(), target.size(), off_t(offset)) == ssize_t(target.size()) && could_read;
    return could_read;
  });
  if (signature) {
    return refuse(Errc::kExists, request, fmt::format("it holds {}: {} takes it, and hosts may overwrite it", *signature, request.force_flag));
  }
  if (!could_read) return refuse(Errc::kIo, request, fmt::format("it cannot be read, so what it holds is not known: {} takes it", request.force_flag));
  return {};
}

}  // namespace

Result<OpenedMedium> open_disk(const DiskRequest& request) {
  const auto device = find_device(request);
  if (!device) return std::unexpected(device.error());
  const SystemRoot root;
  if (const auto user = find_disk_user(root, *device)) return refuse(Errc::kBusy, request, fmt::format("it is {}", *user));
  auto fd = open_exclusively(request);
  if (!fd) return std::unexpected(fd.error());
  const auto geometry = read_geometry(request, fd->get());
  if (!geometry) return std::unexpected(geometry.error());
  const auto block_size = choose_block_size(request, *geometry);
  if (!block_size) return std::unexpected(block_size.error());
  if (auto empty = check_contents(request, fd->get(), geometry->size_bytes); !empty) return std::unexpected(empty.error());

  const DiskDescription description = describe_disk(root, *device);
  OpenedMedium opened;
  opened.medium.fd = std::move(*fd);
  opened.medium.kind = FileKind::kBlockDevice;
  choose_caching(opened.medium, *block_size);
  MediumFacts& facts = opened.facts;
  facts.size_bytes = geometry->size_bytes;
  facts.block_size = *block_size;
  facts.is_read_only = geometry->is_read_only != 0;
  facts.has_volatile_cache = description.has_volatile_cache || opened.medium.caching == Caching::kBuffered;
  facts.can_deallocate = description.can_discard && !facts.is_read_only;
  facts.medium_id = description.id;
  const uint64_t preferred = std::max<uint64_t>({4096, geometry->physical_block_size, description.preferred_bytes});
  facts.preferred_bytes = preferred <= kPreferredBytesMax && std::has_single_bit(preferred) ? uint32_t(preferred) : 4096;
  return opened;
}

}  // namespace weft::platform
