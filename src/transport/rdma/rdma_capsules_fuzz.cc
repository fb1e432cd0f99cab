// Capsules of a host over RDMA to a live admin and a live I/O queue: commands with SGLs of every kind, right and wrong, more of them at a time than the
// queue holds, short ones, and the end of the connection between any two turns. No command completes more often than it was sent, and everything
// comes home: the target's test kit asserts that at its end.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "fuzz/input.h"
#include "transport/rdma/test_support.h"

namespace {

using namespace weft;
using namespace weft::rdma::testing;
using nvme::SglDescriptor;

constexpr size_t kStepsMax = 200;
constexpr uint8_t kTypes[] = {SglDescriptor::kKeyedDataBlock, SglDescriptor::kDataBlockOffset, SglDescriptor::kLastSegmentOffset,
                              SglDescriptor::kKeyedDataBlockInvalidate};

/// One thing that the host does. All zero: a read of a block by one descriptor that is right, and a turn of the target.
struct Step {
  uint8_t what;        // see run()
  uint8_t opcode;      // of NVM: 0 is a read
  uint8_t sgl;         // index of kTypes, or beyond: the type itself
  uint8_t nsid;        // less one
  le16 cid;
  le16 blocks;         // less one
  le32 slba;
  le32 length_change;  // what the SGL's length is wrong by
  le32 place;          // in the host's memory, or the offset in the capsule
  uint8_t key_change;
  uint8_t extra;       // bytes or descriptors after the SQE
};
static_assert(sizeof(Step) == 22);

class Host {
 public:
  explicit Host(TestServer& server) : server_(server), session_(server) {}

  void run(const Step& step, fuzz::Input& input) {
    TestQueue& queue = (step.what & 1) != 0 ? session_.admin : *session_.io;
    switch (step.what >> 1 & 7) {
      case 6: queue.send_short(step.extra % 64); return;
      case 7: queue.disconnect(); return;
      default: send(queue, step, input);
    }
    if ((step.what & 0x10) == 0) server_.target.reactor.run_once();
    if ((step.what & 0x20) != 0) server_.target.advance(milliseconds(200));
    collect();
  }
  void collect() {
    for (TestQueue* queue : {&session_.admin, &*session_.io}) {
      while (queue->take_response()) ++answered_;
    }
    WEFT_ASSERT(answered_ <= sent_);
  }

 private:
  void send(TestQueue& queue, const Step& step, fuzz::Input& input) {
    nvme::Sqe sqe = io_sqe(step.opcode == 0 ? nvme::IoOpcode::kRead : nvme::IoOpcode(step.opcode), step.cid, step.slba, (step.blocks & 0x1ff) + 1u, 0);
    sqe.nsid = step.nsid + 1u;
    const uint8_t type = step.sgl < std::size(kTypes) ? kTypes[step.sgl] : step.sgl;
    const auto length = ((step.blocks & 0x1ff) + 1u) * kBlockSize + step.length_change;
    const size_t place = step.place % TestQueue::kDataBytes;
    std::vector<SglDescriptor> list;
    Bytes after;
    switch (type) {
      case SglDescriptor::kDataBlockOffset: {
        sqe.sgl = {};
        sqe.sgl.type = type;
        sqe.sgl.address = uint64_t{step.place};
        sqe.sgl.length = length;
        const size_t said = std::min<size_t>(length, TestQueue::kCapsuleMax - sizeof sqe);
        after.assign(said - std::min<size_t>(said, step.extra % 2), std::byte{step.extra});
        break;
      }
      case SglDescriptor::kLastSegmentOffset: {
        for (size_t i = 0; i <= step.extra % 20u; ++i) {
          const uint32_t piece = input.get<le16>();
          list.push_back(queue.keyed_by(queue.key() + step.key_change, place, piece, i == 7 ? input.byte() : kTypes[0]));
        }
        const auto bytes = std::as_bytes(std::span(list));
        after.assign(bytes.begin(), bytes.end());
        sqe.sgl = {};
        sqe.sgl.type = type;
        sqe.sgl.address = uint64_t{step.length_change};
        sqe.sgl.length = uint32_t(bytes.size());
        break;
      }
      // The field has 24 bits.
      default: sqe.sgl = queue.keyed_by(queue.key() + step.key_change, place, length & rdma::kSegmentBytesMax, type);
    }
    ++sent_;
    queue.post(sqe, after);
  }

  TestServer& server_;
  Session session_;
  uint64_t sent_ = 0;
  uint64_t answered_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  TestServer server;
  Host host(server);
  for (size_t steps = 0; steps < kStepsMax && !input.is_empty(); ++steps) host.run(input.get<Step>(), input);
  server.run();
  host.collect();
  return 0;
}
