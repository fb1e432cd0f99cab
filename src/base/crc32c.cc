#include "base/crc32c.h"

#include <isa-l/crc.h>

namespace weft {

void Crc32c::update(std::span<const std::byte> bytes) {
  // ISA-L takes the length as int; it does not write through the pointer, though it is not const. Nothing here is near 2 GiB.
  auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
  state_ = crc32_iscsi(data, int(bytes.size()), state_);
}

uint32_t crc32c(std::span<const std::byte> bytes) {
  Crc32c crc;
  crc.update(bytes);
  return crc.value();
}

}  // namespace weft
