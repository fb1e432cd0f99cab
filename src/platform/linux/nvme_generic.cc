#include "platform/linux/nvme_generic.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "base/bytes.h"
#include "bdev/nvme/nvme_device.h"
#include "nvme/facts.h"
#include "platform/linux/disks.h"
#include "platform/linux/text_file.h"
#include "wire/nvme/identify.h"
#include "wire/nvme/registers.h"
#include "wire/print.h"
#include "wire/uuid.h"

namespace weft::platform {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kNlbMax = uint64_t{1} << 16;  // blocks that a command can say

/// One open node, its commands given one at a time.
class Node {
 public:
  Node(const NvmeGenericRequest& request, int fd) : request_(request), fd_(fd) {}

  std::unexpected<Error> refuse(Errc code, std::string_view why) const { return fail(code, fmt::format("{}: {}", request_.name, why)); }

  Result<uint32_t> nsid() const {
    const int nsid = ::ioctl(fd_, NVME_IOCTL_ID);
    if (nsid <= 0) return refuse(Errc::kIo, "the kernel does not tell its NSID");
    return uint32_t(nsid);
  }

  /// The device's status. Errors: the kernel's.
  Result<nvme::Status> identify(nvme::Cns cns, uint32_t nsid, nvme::Csi csi, std::span<std::byte> page) const {
    nvme_passthru_cmd command{};
    command.opcode = uint8_t(nvme::AdminOpcode::kIdentify);
    command.nsid = nsid;
    command.addr = reinterpret_cast<uintptr_t>(page.data());
    command.data_len = uint32_t(page.size());
    command.cdw10 = uint32_t(cns);
    command.cdw11 = uint32_t(csi) << 24;
    return status_of(::ioctl(fd_, NVME_IOCTL_ADMIN_CMD, &command), "Identify");
  }

  Result<nvme::Status> run(nvme_passthru_cmd64 command, std::string_view what) const { return status_of(::ioctl(fd_, NVME_IOCTL_IO64_CMD, &command), what); }

 private:
  Result<nvme::Status> status_of(int returned, std::string_view what) const {
    if (returned >= 0) return nvme::Status::from_cqe(uint16_t(returned << 1));
    if (errno != EACCES && errno != EPERM) return std::unexpected(Error::from_errno(errno, fmt::format("{}: {}", request_.name, what)));
    return refuse(Errc::kDenied, fmt::format("the kernel lets this user send no {}: that takes root (CAP_SYS_ADMIN), or Linux 6.2 or newer and a device "
                                             "that lists its commands (`nvme effects-log`)", what));
  }

  const NvmeGenericRequest& request_;
  int fd_;
};

struct NamespaceFound {
  nvme::ControllerFacts controller;
  nvme::NamespaceFacts ns;
};

Result<NamespaceFound> identify(const Node& node) {
  alignas(kPageBytes) std::array<std::byte, nvme::kIdentifySize> page{};
  // Any answer but success is an error here.
  const auto ask = [&](nvme::Cns cns, uint32_t nsid) -> Result<void> {
    const auto status = node.identify(cns, nsid, nvme::Csi::kNvm, page);
    if (!status) return std::unexpected(status.error());
    if (!status->ok()) return node.refuse(Errc::kIo, fmt::format("Identify: {}", nvme::to_text(*status)));
    return {};
  };
  const auto nsid = node.nsid();
  if (!nsid) return std::unexpected(nsid.error());
  if (auto done = ask(nvme::Cns::kController, 0); !done) return std::unexpected(done.error());
  const auto id = *view<nvme::IdentifyController>(std::span<const std::byte>(page));
  bool has_nvm = false;
  if (id.ver >= nvme::kVersion2_0) {
    const auto status = node.identify(nvme::Cns::kIocsController, 0, nvme::Csi::kNvm, page);
    has_nvm = status && status->ok();
  }
  const auto controller = nvme::facts_of(id, has_nvm ? view<nvme::NvmIdentifyController>(std::span<const std::byte>(page)) : nullptr, id.ver);
  if (!controller) return node.refuse(controller.error().code, controller.error().what());
  if (auto done = ask(nvme::Cns::kNamespace, *nsid); !done) return std::unexpected(done.error());
  // Its descriptors are root's: sysfs says what is needed of them.
  const auto ns = nvme::facts_of(*nsid, *view<nvme::IdentifyNamespace>(std::span<const std::byte>(page)), {});
  if (!ns) return node.refuse(ns.error().code, ns.error().what());
  return NamespaceFound{*controller, *ns};
}

/// That the kernel lets this user send them, whatever the device says to them.
Result<void> try_commands(const Node& node, const nvme::NamespaceFacts& ns) {
  alignas(kPageBytes) std::array<std::byte, kPageBytes> block;
  nvme_passthru_cmd64 command{};
  command.opcode = uint8_t(nvme::IoOpcode::kRead);
  command.nsid = ns.nsid;
  command.addr = reinterpret_cast<uintptr_t>(block.data());
  command.data_len = ns.block_size;
  if (auto status = node.run(command, "Read"); !status) return std::unexpected(status.error());
  nvme_passthru_cmd64 flush{};
  flush.opcode = uint8_t(nvme::IoOpcode::kFlush);
  flush.nsid = ns.nsid;
  if (auto status = node.run(flush, "Flush"); !status) return std::unexpected(status.error());
  return {};
}

std::string owner_of(const struct stat& status) {
  const passwd* user = ::getpwuid(status.st_uid);
  return user == nullptr ? std::to_string(status.st_uid) : user->pw_name;
}

std::unexpected<Error> open_error(const NvmeGenericRequest& request, const struct stat& status, int error_number) {
  if (error_number != EACCES && error_number != EPERM) {
    return std::unexpected(Error::from_errno(error_number, fmt::format("{}: cannot open it", request.name)));
  }
  return fail(Errc::kDenied, fmt::format("{}: it is {}'s and not this user's: give it to this user, and its block device too (`chown`, or a udev rule), "
                                         "or run as root", request.name, owner_of(status)));
}

/// The block device, as somebody who serves it would open it.
Result<OpenedMedium> claim(const NvmeGenericRequest& request, const SystemRoot& root, const NvmeGenericPlace& place) {
  auto disk = open_disk({.path = root.dev + "/" + place.disk, .force = request.force});
  if (!disk && disk.error().code == Errc::kDenied) {
    return fail(Errc::kDenied, fmt::format("{}: its block device is held while it is served, so this user needs it too. {}", request.name,
                                           disk.error().what()));
  }
  if (!disk) return fail(disk.error().code, fmt::format("{}: {}", request.name, disk.error().what()));
  struct stat status;
  const bool is_it = ::fstat(disk->medium.fd.get(), &status) == 0 && DeviceNumber{major(status.st_rdev), minor(status.st_rdev)} == place.disk_number;
  if (!is_it) return fail(Errc::kInvalid, fmt::format("{}: {}/{} is not the block device beside it", request.name, root.dev, place.disk));
  // What was written through it and is still in the kernel must not come over what will be written here.
  if (::fsync(disk->medium.fd.get()) != 0) return std::unexpected(Error::from_errno(errno, fmt::format("{}: sync of {}", request.name, place.disk)));
  return disk;
}

}  // namespace

bool is_character_device(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISCHR(status.st_mode);
}

Result<NvmeGenericPlace> find_nvme_generic(const SystemRoot& root, DeviceNumber number) {
  std::error_code failed;
  const fs::path directory = fs::canonical(fmt::format("{}/dev/char/{}:{}", root.sys, number.major, number.minor), failed);
  if (failed || link_name(directory / "subsystem") != "nvme-generic") {
    return fail(Errc::kInvalid, "it is a character device, and not that of an NVMe namespace, such as /dev/ng0n1");
  }
  NvmeGenericPlace place{.disk = "nvme" + directory.filename().string().substr(2), .disk_number = {}};
  const fs::path disk = directory.parent_path() / place.disk;
  const auto disk_number = device_number_of(disk);
  if (!disk_number) return fail(Errc::kUnsupported, fmt::format("the kernel shows no block device {} beside it, by which it could be held", place.disk));
  place.disk_number = *disk_number;
  const fs::path queue = disk / "queue";
  const std::string zoned = read_word(queue / "zoned");
  if (!zoned.empty() && zoned != "none") return fail(Errc::kUnsupported, "it is zoned");
  // Data that lies in pages here and there has a segment for each, and one more where it begins inside a page.
  uint64_t bytes = read_number(queue / "max_hw_sectors_kb") << 10;
  if (bytes == 0) bytes = std::numeric_limits<uint32_t>::max();
  if (const uint64_t segments = read_number(queue / "max_segments"); segments != 0) bytes = std::min(bytes, std::max<uint64_t>(segments - 1, 1) * kPageBytes);
  place.transfer_bytes_max = uint32_t(std::min<uint64_t>(bytes, std::numeric_limits<uint32_t>::max()) / kPageBytes * kPageBytes);
  if (const uint64_t mask = read_number(queue / "dma_alignment"); mask != 0) place.memory_alignment = uint32_t(mask + 1);
  // The best name that the namespace has; others than a UUID are in Identify Namespace.
  const std::string wwid = read_word(disk / "wwid");
  if (wwid.starts_with("uuid.")) {
    if (const auto uuid = parse_uuid(std::string_view{wwid}.substr(5))) place.uuid = uuid->bytes;
  }
  return place;
}

media::Lengths lengths_of(const NvmeGenericPlace& place, const nvme::ControllerFacts& controller, const nvme::NamespaceFacts& ns) {
  const media::Lengths most;
  const auto whole_blocks = [&](uint64_t bytes) { return uint32_t(bytes / ns.block_size * ns.block_size); };
  const uint64_t said = kNlbMax * ns.block_size;
  const bool zeroing_deallocates = controller.has_write_zeroes && ns.reads_zeroes_after_zeroing;
  const uint64_t transfer = std::min({uint64_t{most.transfer}, uint64_t{place.transfer_bytes_max}, controller.transfer_bytes_max, said});
  const uint64_t zero = controller.has_write_zeroes ? std::min({uint64_t{most.zero}, controller.zeroes_bytes_max, said}) : 0;
  const uint64_t range = std::min(uint64_t{most.discard}, uint64_t{controller.deallocate_blocks_max} * ns.block_size);
  return {.transfer = whole_blocks(transfer), .zero = whole_blocks(zero), .discard = whole_blocks(zeroing_deallocates ? zero : range)};
}

Result<OpenNvmeGeneric> open_nvme_generic(const NvmeGenericRequest& request) {
  struct stat status;
  if (::stat(request.path.c_str(), &status) != 0) return std::unexpected(Error::from_errno(errno, fmt::format("{}: cannot find it", request.name)));
  const SystemRoot root;
  const auto place = find_nvme_generic(root, {major(status.st_rdev), minor(status.st_rdev)});
  if (!place) return fail(place.error().code, fmt::format("{}: {}", request.name, place.error().what()));
  // For writing: else the kernel lets no command pass that changes blocks.
  UniqueFd fd{::open(request.path.c_str(), O_RDWR | O_CLOEXEC)};
  if (!fd.is_open()) return open_error(request, status, errno);
  const Node node{request, fd.get()};
  auto found = identify(node);
  if (!found) return std::unexpected(found.error());
  found->ns.uuid = place->uuid;
  if (request.block_size != 0 && request.block_size != found->ns.block_size) {
    return node.refuse(Errc::kInvalid, fmt::format("its blocks are {} bytes, as it is formatted (`nvme format --lbaf`): leave out block_size={}",
                                                   found->ns.block_size, request.block_size));
  }
  auto disk = claim(request, root, *place);
  if (!disk) return std::unexpected(disk.error());
  if (auto allowed = try_commands(node, found->ns); !allowed) return std::unexpected(allowed.error());

  bdev::Info info = bdev::describe(request.name, found->controller, found->ns);
  info.is_read_only = info.is_read_only || disk->facts.is_read_only;
  const CommandedNamespace commanded{
      .fd = fd.get(), .nsid = found->ns.nsid, .block_size = info.block_size, .zeroing_deallocates = info.deallocated_reads_zero};
  return OpenNvmeGeneric{.node = std::move(fd),
                         .claim = std::move(disk->medium.fd),
                         .commanded = commanded,
                         .alignment = {.memory = place->memory_alignment, .offset = info.block_size},
                         .lengths = lengths_of(*place, found->controller, found->ns),
                         .info = std::move(info)};
}

}  // namespace weft::platform
