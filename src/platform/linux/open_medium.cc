#include "platform/linux/open_medium.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <optional>

namespace weft::platform {
namespace {

constexpr uint32_t kProbeBytes = 4096;

/// What the kernel says that direct I/O on the file needs (since Linux 6.1). An offset of 0: no direct I/O.
std::optional<media::Alignment> told_alignment(int fd) {
#ifdef STATX_DIOALIGN
  struct statx status;
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0 || (status.stx_mask & STATX_DIOALIGN) == 0) return std::nullopt;
  return media::Alignment{.memory = status.stx_dio_mem_align, .offset = status.stx_dio_offset_align};
#else
  (void)fd;
  return std::nullopt;
#endif
}

/// The file is open for direct I/O: whether it reads a block at an address that is aligned to `alignment` and to no more.
bool can_read(int fd, uint32_t alignment) {
  alignas(kProbeBytes) std::array<std::byte, 2 * kProbeBytes> buffer;
  return ::pread(fd, buffer.data() + alignment % kProbeBytes, alignment, 0) >= 0;
}

std::optional<media::Alignment> probed_alignment(int fd) {
  for (const uint32_t alignment : {512u, kProbeBytes}) {
    if (can_read(fd, alignment)) return media::Alignment{alignment, alignment};
  }
  return std::nullopt;
}

}  // namespace

void choose_caching(OpenMedium& medium, uint32_t block_size) {
  const int fd = medium.fd.get();
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) return;
  auto alignment = told_alignment(fd);
  if (!alignment) alignment = probed_alignment(fd);
  if (alignment && alignment->offset != 0 && block_size % alignment->offset == 0 && can_read(fd, kProbeBytes)) {
    medium.caching = Caching::kDirect;
    medium.alignment = *alignment;
    return;
  }
  (void)::fcntl(fd, F_SETFL, flags);  // takes away what was just granted: it does not fail
}

}  // namespace weft::platform
