// Any bytes from a host, cut anywhere, against a connection of a target with a RAM disk. Input: the first byte chooses the size of a receive
// (0: all at once) and of a send; then, until the end of the input, records | length le16 | bytes |, which arrive one after the other. A
// record of length 0 lets one second pass.
#include <cstdint>

#include "transport/tcp/test_support.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  if (size < 1) return 0;
  tcp::testing::TestTarget target{tcp::testing::small_limits()};
  tcp::testing::TestPeer peer(target, {.segment = data[0] == 0 ? SIZE_MAX : data[0], .window = data[0] == 0 ? SIZE_MAX : 100u * data[0]});
  std::span<const std::byte> input{reinterpret_cast<const std::byte*>(data + 1), size - 1};
  while (input.size() >= 2 && !peer.is_closed) {
    const size_t length = std::min<size_t>(load_le16(input.data()), input.size() - 2);
    if (length == 0) peer.advance(seconds(1));
    peer.send(input.subspan(2, length));
    input = input.subspan(2 + length);
  }
  return 0;
}
