#include "platform/linux/files.h"

#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <filesystem>

#include "base/units.h"
#include "platform/linux/machine.h"
#include "platform/linux/proc_tables.h"
#include "platform/linux/text_file.h"

namespace weft::platform {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIdAttribute = "user.weft.id";

std::unexpected<Error> system_error(const FileRequest& request, std::string_view what) {
  return std::unexpected(Error::from_errno(errno, fmt::format("file {}: {}", request.path, what)));
}

std::unexpected<Error> refuse(Errc code, const FileRequest& request, std::string_view why) {
  return fail(code, fmt::format("file {}: {}", request.path, why));
}

/// A new file of the right size, or none.
Result<UniqueFd> create(const FileRequest& request) {
  UniqueFd fd{::open(request.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!fd.is_open()) return system_error(request, "cannot create it");
  if (::ftruncate(fd.get(), off_t(request.size_bytes)) != 0 || ::fsync(fd.get()) != 0) {
    const auto error = system_error(request, fmt::format("cannot make it {} long", format_size(request.size_bytes)));
    ::unlink(request.path.c_str());
    return error;
  }
  // The name too must survive a power failure.
  const fs::path parent = fs::path{request.path}.parent_path();
  const UniqueFd directory{::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory.is_open() || ::fsync(directory.get()) != 0) return system_error(request, "cannot sync its directory");
  return fd;
}

Result<UniqueFd> open_or_create(const FileRequest& request) {
  // O_NONBLOCK: a pipe or a terminal must not hold us up before it is found not to be a file.
  UniqueFd fd{::open(request.path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK)};
  if (fd.is_open()) return fd;
  if (errno == ENOENT && request.size_bytes > 0) return create(request);
  if (errno == ENOENT) return refuse(Errc::kNotFound, request, "it does not exist; size=… creates it");
  return system_error(request, "cannot open it");
}

Result<void> check_size(const FileRequest& request, uint64_t size_bytes, uint32_t block_size) {
  if (request.size_bytes != 0 && request.size_bytes != size_bytes) {
    return refuse(Errc::kInvalid, request,
                  fmt::format("it is {} bytes long, and size= says {}: an existing file is not resized", size_bytes,
                              request.size_bytes));
  }
  if (size_bytes == 0) return refuse(Errc::kInvalid, request, "it is empty");
  if (size_bytes % block_size != 0) {
    return refuse(Errc::kInvalid, request, fmt::format("its {} bytes are not whole blocks of {}", size_bytes, block_size));
  }
  return {};
}

// A target that was killed keeps its lock until the kernel has taken back what its io_uring had in flight: its successor waits for that.
constexpr int kLockTries = 40;
constexpr int kLockRetryMs = 50;

bool is_alive(pid_t process) { return ::kill(process, 0) == 0 || errno == EPERM; }

Result<void> lock(const FileRequest& request, int fd, const struct stat& status) {
  const FileIdentity file{{major(status.st_dev), minor(status.st_dev)}, status.st_ino};
  for (int tries_left = kLockTries;; --tries_left) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno != EWOULDBLOCK) return system_error(request, "cannot lock it");
    const auto locks = read_text("/proc/locks");
    const auto holder = locks ? find_lock_holder(*locks, file) : std::nullopt;
    if (holder == getpid()) return refuse(Errc::kBusy, request, "it is in use by another namespace of this target");
    if (holder && is_alive(*holder)) return refuse(Errc::kBusy, request, fmt::format("it is locked by process {}", *holder));
    if (tries_left == 0) return refuse(Errc::kBusy, request, "it is locked by another process");
    ::poll(nullptr, 0, kLockRetryMs);
  }
}

/// Under a loop device the file has a second way in.
Result<void> check_loop_devices(const FileRequest& request, const struct stat& status) {
  std::error_code failed;
  for (fs::directory_iterator it{"/sys/block", failed}, end; !failed && it != end; it.increment(failed)) {
    const std::string backing = read_word(it->path() / "loop/backing_file");
    struct stat other;
    if (backing.empty() || ::stat(backing.c_str(), &other) != 0) continue;
    if (other.st_dev == status.st_dev && other.st_ino == status.st_ino) {
      return refuse(Errc::kBusy, request, fmt::format("it is under the loop device /dev/{}", it->path().filename().string()));
    }
  }
  return {};
}

/// Whether holes can be punched; tried beyond the end, where there is nothing to lose.
bool can_punch(int fd, uint64_t size_bytes) {
  return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(size_bytes), 4096) == 0;
}

/// An identity that stays with the file through renames and remounts, and is not copied with it: a random id in an extended attribute that also
/// says which inode it was made for; else file system, inode and time of birth.
std::string medium_id_of(int fd, const struct stat& status) {
  const std::string inode_mark = fmt::format(":{}", status.st_ino);
  char stored[128];
  const ssize_t length = ::fgetxattr(fd, kIdAttribute, stored, sizeof stored);
  if (length > 0 && std::string_view{stored, size_t(length)}.ends_with(inode_mark)) return {stored, size_t(length)};
  const std::string fresh = random_hex(16) + inode_mark;
  if (::fsetxattr(fd, kIdAttribute, fresh.data(), fresh.size(), 0) == 0) return fresh;
  struct statvfs file_system {};
  (void)::fstatvfs(fd, &file_system);
  struct statx birth {};
  (void)::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &birth);
  return fmt::format("{:x}-{}-{}.{}", file_system.f_fsid, status.st_ino, birth.stx_btime.tv_sec, birth.stx_btime.tv_nsec);
}

}  // namespace

Result<OpenedMedium> open_file(const FileRequest& request) {
  const uint32_t block_size = request.block_size == 0 ? 512 : request.block_size;
  if (request.size_bytes % block_size != 0) {
    return refuse(Errc::kInvalid, request, fmt::format("size={} is not whole blocks of {}", request.size_bytes, block_size));
  }
  auto fd = open_or_create(request);
  if (!fd) return std::unexpected(fd.error());
  struct stat status;
  if (::fstat(fd->get(), &status) != 0) return system_error(request, "cannot stat it");
  if (S_ISBLK(status.st_mode)) return refuse(Errc::kInvalid, request, "it is a block device: write its path without file:");
  if (!S_ISREG(status.st_mode)) return refuse(Errc::kInvalid, request, "it is not a regular file");
  if (auto locked = lock(request, fd->get(), status); !locked) return std::unexpected(locked.error());
  if (auto unused = check_loop_devices(request, status); !unused) return std::unexpected(unused.error());
  if (auto right = check_size(request, uint64_t(status.st_size), block_size); !right) return std::unexpected(right.error());

  OpenedMedium opened;
  opened.medium.fd = std::move(*fd);
  const int file = opened.medium.fd.get();
  (void)::fcntl(file, F_SETFL, ::fcntl(file, F_GETFL) & ~O_NONBLOCK);
  opened.facts.size_bytes = uint64_t(status.st_size);
  opened.facts.block_size = block_size;
  opened.facts.can_deallocate = can_punch(file, opened.facts.size_bytes);
  opened.facts.deallocated_reads_zero = opened.facts.can_deallocate;
  opened.facts.medium_id = medium_id_of(file, status);
  choose_caching(opened.medium, block_size);
  return opened;
}

}  // namespace weft::platform
