// Arbitrary bytes from a target: | options 1 | size of pieces 1 | bytes… |. After ICResp, three reads and three writes are kept outstanding,
// so that bytes which guess a CID get far. The connection must end in an orderly way and every command complete exactly once.
#include <cstdint>

#include "host/test_support.h"

namespace {

using namespace weft;
using namespace weft::host;
using namespace weft::host::testing_support;

class Again final : public Command {
 public:
  void on_completed(const nvme::Cqe&) override {
    WEFT_ASSERT(is_outstanding);
    is_outstanding = false;
  }
  bool is_outstanding = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const uint8_t options = data[0];
  const size_t piece = data[1] == 0 ? SIZE_MAX : data[1];
  const std::span<const std::byte> bytes{reinterpret_cast<const std::byte*>(data) + 2, size - 2};

  const Bytes out = pattern(9000, 1);
  std::array<Bytes, 3> in;
  for (Bytes& buffer : in) buffer.resize(512);
  std::array<Again, 6> commands;
  for (size_t i = 0; i < commands.size(); ++i) {
    if (i % 2 == 0) {
      commands[i].in = in[i / 2];
    } else {
      commands[i].out = std::span(out).first(i == 1 ? 512 : 9000);
    }
  }
  Wire wire{{.kind = QueueKind::kIo, .entries = 6, .in_capsule_bytes = 4096, .digests = {.header = (options & 1) != 0, .data = (options & 2) != 0}}};
  if ((options & 4) != 0) wire.connection.disable_flow_control();
  if ((options & 8) == 0) {
    wire.shake_hands();
  } else {
    wire.drain();
  }
  for (size_t at = 0; at < bytes.size() && wire.closed == 0;) {
    for (Again& command : commands) {
      if (command.is_outstanding || !wire.connection.has_room()) continue;
      command.is_outstanding = true;
      wire.connection.submit(command);
    }
    if ((options & 16) == 0) wire.drain(1 + at % 100);
    const size_t count = std::min(piece, bytes.size() - at);
    wire.feed(bytes.subspan(at, count));
    at += count;
  }
  wire.close();
  for (const Again& command : commands) WEFT_ASSERT(!command.is_outstanding);
  return 0;
}
