#include "platform/linux/receive_buffers.h"

#include <cerrno>

namespace weft::platform {

Result<void> ReceiveBuffers::give_to(io_uring& ring) {
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uintptr_t>(shared());
  registration.ring_entries = kCount;
  registration.bgid = kGroup;
  const int failed = io_uring_register_buf_ring(&ring, &registration, 0);
  if (failed == -EINVAL) return fail(Errc::kUnsupported, "this kernel's io_uring is older than Linux 5.19: it has no buffers for receives");
  if (failed != 0) return std::unexpected(Error::from_errno(-failed, "io_uring_register_buf_ring"));
  io_uring_buf_ring_init(shared());
  for (unsigned id = 0; id < kCount; ++id) give_back(uint16_t(id));
  return {};
}

void ReceiveBuffers::give_back(uint16_t id) {
  io_uring_buf_ring_add(shared(), buffer(id).data(), kBufferBytes, id, io_uring_buf_ring_mask(kCount), 0);
  io_uring_buf_ring_advance(shared(), 1);
}

}  // namespace weft::platform
