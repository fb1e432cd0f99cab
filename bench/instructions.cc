// What callgrind runs to count the target's user instructions per command: `instructions WORKLOAD COMMANDS` executes so many commands, 32 at a
// time, over memory. instructions.py collects only inside the target's turns and leaves out what stands for the kernel; the difference of two
// lengths is free of the start. By itself it measures nothing.
#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/prng.h"
#include "bench/counted_verbs.h"
#include "bench/nvme_reads.h"
#include "bench/pumped_queue.h"
#include "bench/system.h"
#include "transport/loop/loop_connection.h"
#include "transport/rdma/test_support.h"
#include "wire/nvme/registers.h"

namespace weft::bench {
namespace {

namespace testing = tcp::testing;

constexpr size_t kDepth = 32;
constexpr size_t kTurnsMax = 1000;                       // for one batch
constexpr uint8_t kSqFlowControl = 0;                    // CATTR
constexpr uint32_t kEnable = 1 | 6u << 16 | 4u << 20;    // CC: EN, IOSQES 64 bytes, IOCQES 16 bytes

/// What one workload sends over TCP.
struct Shape {
  nvme::IoOpcode opcode;
  uint32_t io_bytes;
  uint8_t cattr = fabrics::kCattrDisableSqFlowControl;
  bool has_digests = false;
};

nvme::Sqe sqe_of(const Shape& shape, uint16_t cid, Prng& prng) {
  const uint32_t blocks = shape.io_bytes / testing::kBlockSize;
  const bool is_in_capsule = shape.opcode == nvme::IoOpcode::kWrite && shape.io_bytes <= Limits{}.in_capsule_bytes;
  const uint8_t sgl = is_in_capsule ? nvme::SglDescriptor::kDataBlockOffset : nvme::SglDescriptor::kTransportDataBlock;
  return testing::io_sqe(shape.opcode, cid, prng.below(testing::kBlocks / blocks) * blocks, blocks, sgl);
}

/// The capsules of one batch, to different places.
Bytes batch_of(const Shape& shape, const testing::PeerOptions& options) {
  Prng prng(1);
  const Bytes payload(shape.io_bytes, std::byte{0x5a});
  Bytes batch;
  for (uint16_t cid = 0; cid < kDepth; ++cid) {
    const nvme::Sqe sqe = sqe_of(shape, cid, prng);
    const bool has_data = sqe.sgl.type == nvme::SglDescriptor::kDataBlockOffset;
    const Bytes capsule = testing::capsule(sqe, has_data ? payload : std::span<const std::byte>{}, options);
    batch.insert(batch.end(), capsule.begin(), capsule.end());
  }
  return batch;
}

void run_tcp(const Shape& shape, size_t commands) {
  const testing::PeerOptions options{.has_header_digest = shape.has_digests, .has_data_digest = shape.has_digests};
  PumpedTarget target;
  PumpedQueue admin(target, options);
  admin.run(testing::connect_capsule(0, {.qid = 0, .cattr = shape.cattr}, options), 1);
  const auto cntlid = uint16_t(admin.last_completion().dw0);
  admin.run(testing::property_set(1, nvme::property::kCc, kEnable, options), 1);

  PumpedQueue io(target, options);
  io.run(testing::connect_capsule(0, {.qid = 1, .sqsize = kDepth - 1, .cntlid = cntlid, .cattr = shape.cattr}, options), 1);
  const Bytes batch = batch_of(shape, options);
  for (size_t done = 0; done < commands; done += kDepth) io.run(batch, kDepth);
}

/// One queue of the loop transport, whose commands are over, or are after a few turns.
class LoopQueue {
 public:
  explicit LoopQueue(testing::TestTarget& target) : target_(target), connection_(*target.target->shards().front()) {}
  ~LoopQueue() {
    connection_.disconnect();
    for (int i = 0; i < 100 && !connection_.is_detached(); ++i) target_.advance(milliseconds(10));
  }
  nvme::Cqe run(const nvme::Sqe& sqe, std::span<const std::byte> from_host, std::span<std::byte> to_host) {
    nvme::Cqe completion{};
    bool is_done = false;
    loop::Connection::Request request{.sqe = sqe, .from_host = from_host, .to_host = to_host, .on_done = [&](const nvme::Cqe& cqe) {
                                        completion = cqe;
                                        is_done = true;
                                      }};
    if (!connection_.submit(std::move(request))) die("the loop takes no command");
    if (!is_done) target_.run();
    if (!is_done || completion.status != 0) die("a command failed");
    return completion;
  }

 private:
  testing::TestTarget& target_;
  loop::Connection connection_;
};

void run_loop(const Shape& shape, size_t commands) {
  // The same capsules as over TCP, taken apart.
  const auto run = [](LoopQueue& queue, const Bytes& capsule) {
    const auto bytes = std::span<const std::byte>(capsule);
    return queue.run(view<tcp::CapsuleCmd>(bytes)->sqe, bytes.subspan(sizeof(tcp::CapsuleCmd)), {});
  };
  testing::TestTarget target(testing::small_limits());
  LoopQueue admin(target);
  const auto cntlid = uint16_t(run(admin, testing::connect_capsule(0, {.qid = 0, .cattr = shape.cattr}, {})).dw0);
  run(admin, testing::property_set(1, nvme::property::kCc, kEnable, {}));
  LoopQueue io(target);
  run(io, testing::connect_capsule(0, {.qid = 1, .sqsize = kDepth - 1, .cntlid = cntlid, .cattr = shape.cattr}, {}));
  Prng prng(1);
  Bytes landing(shape.io_bytes);
  for (size_t done = 0; done < commands; ++done) io.run(sqe_of(shape, uint16_t(done), prng), {}, landing);
}

/// Commands of 4 KiB over RDMA, each to a place of its own in the host's memory, or with the data in its capsule.
void run_rdma(nvme::IoOpcode opcode, uint8_t sgl, size_t commands) {
  constexpr uint32_t kBytes = 4096;
  rdma::testing::TestServerOn<CountedVerbs> server;
  rdma::testing::Session session(server, 2 * kDepth);
  rdma::testing::TestQueue& io = *session.io;
  const bool is_in_capsule = sgl == nvme::SglDescriptor::kDataBlockOffset;
  const Bytes payload(is_in_capsule ? kBytes : 0, std::byte{0x5a});
  Prng prng(1);
  for (size_t done = 0; done < commands; done += kDepth) {
    for (uint16_t cid = 0; cid < kDepth; ++cid) {
      nvme::Sqe sqe = sqe_of({.opcode = opcode, .io_bytes = kBytes}, cid, prng);
      if (!is_in_capsule) sqe.sgl = io.keyed(size_t{cid} * kBytes, kBytes, sgl);
      io.post(sqe, payload);
    }
    size_t turns = 0;
    for (size_t answered = 0; answered < kDepth; ++turns) {
      if (turns == kTurnsMax) die("the target does not answer");
      server.target.reactor.run_once();
      while (const auto response = io.take_response()) {
        if (response->cqe.status != 0) die("a command failed");
        ++answered;
      }
    }
  }
}

using Run = std::function<void(size_t commands)>;

std::map<std::string, Run> workloads() {
  using enum nvme::IoOpcode;
  return {
      {"read", [](size_t commands) { run_tcp({.opcode = kRead, .io_bytes = 4096}, commands); }},
      {"read-response", [](size_t commands) { run_tcp({.opcode = kRead, .io_bytes = 4096, .cattr = kSqFlowControl}, commands); }},
      {"read-digests", [](size_t commands) { run_tcp({.opcode = kRead, .io_bytes = 4096, .has_digests = true}, commands); }},
      {"read-128k", [](size_t commands) { run_tcp({.opcode = kRead, .io_bytes = 128 << 10}, commands); }},
      {"write", [](size_t commands) { run_tcp({.opcode = kWrite, .io_bytes = 4096}, commands); }},
      {"write-r2t", [](size_t commands) { run_tcp({.opcode = kWrite, .io_bytes = 16384}, commands); }},
      {"loop-read", [](size_t commands) { run_loop({.opcode = kRead, .io_bytes = 4096}, commands); }},
      {"rdma-read", [](size_t commands) { run_rdma(kRead, nvme::SglDescriptor::kKeyedDataBlock, commands); }},
      {"rdma-write", [](size_t commands) { run_rdma(kWrite, nvme::SglDescriptor::kKeyedDataBlock, commands); }},
      {"nvme-read", [](size_t commands) { run_nvme_reads(commands, kDepth); }},
      {"rdma-write-capsule", [](size_t commands) { run_rdma(kWrite, nvme::SglDescriptor::kDataBlockOffset, commands); }},
  };
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  using namespace weft::bench;
  const auto all = workloads();
  std::string name;
  size_t commands = 0;
  CLI::App app{"Executes commands against a target in this process, for callgrind: see instructions.py"};
  app.add_option("workload", name, "which commands")->required()->check(CLI::IsMember(all));
  app.add_option("commands", commands, "how many, rounded up to batches of 32")->required();
  CLI11_PARSE(app, argc, argv);
  all.at(name)(commands);
  return 0;
}
