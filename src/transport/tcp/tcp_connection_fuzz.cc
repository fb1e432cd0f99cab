// Scripts of PDUs (fuzz/pdu_script.h) from hostile hosts, cut anywhere, against a live target with two namespaces: up
// to four connections at a time, so that the queues of a controller, their commands and their ends meet. What the
// target answers must be what any host can read; afterwards everything is home. Option 0: which limits are hostile;
// option 1: fuzz/host_phrases.h.
#include "fuzz/answer_checker.h"
#include "fuzz/host_phrases.h"
#include "transport/tcp/test_support.h"

#include <cstdint>

namespace {

using namespace weft;
using fuzz::Script;
using fuzz::Step;

// Little memory, so that an input costs little beside its commands, and shares run dry.
constexpr uint32_t kShare = 64 << 10;  // bytes
constexpr uint64_t kBlocks = 128;

/// Bits choose which limits are hostile.
Limits limits_of(uint8_t choice) {
  const auto hostile = [choice](unsigned bit) { return (choice >> bit & 1) != 0; };
  Limits limits;
  limits.slots_per_reactor = hostile(0) ? 64 : 128;
  limits.queue_entries = hostile(1) ? 2 : 64;
  limits.admin_queue_entries = 32;
  limits.in_capsule_share_bytes = hostile(2) ? 8192 : kShare;
  limits.in_capsule_bytes = hostile(3) ? 0 : 8192;
  limits.data_transfer_bytes = hostile(4) ? 4096 : kShare;
  limits.maxh2cdata_bytes = hostile(5) ? 4096 : kShare;
  limits.fused_share_bytes = hostile(6) ? 8192 : kShare;
  limits.async_events = limits.aborts = hostile(7) ? 1 : 4;
  limits.admin_share_bytes = limits.transfer_share_bytes = limits.read_share_bytes = kShare;
  limits.scratch_share_bytes = 2 * kShare;  // a Copy takes pieces of up to 128 KiB
  limits.receive_buffer_bytes = 65536;
  return limits;
}

/// One host's end of a connection.
struct Peer {
  Peer(tcp::testing::TestTarget& target, const tcp::testing::PeerOptions& options) : wire(target, options) {}

  void send(const Step& step) {
    fuzz::Bytes bytes = step.bytes;
    if (step.is_echo && asked) echo(bytes);
    held.insert(held.end(), bytes.begin(), bytes.end());
    if (step.kind == Step::Kind::kHold) return;
    wire.options.segment = step.argument == 0 ? SIZE_MAX : step.argument;
    checker.on_sent(held);
    wire.send(std::exchange(held, {}));
  }
  /// Makes it a live queue: the admin queue of the target's first controller, enabled, or an I/O queue of that.
  void prepare(uint8_t qid, const tcp::testing::PeerOptions& digests) {
    constexpr uint32_t kEnabled = 1 | 6 << 16 | 4 << 20;
    const tcp::testing::ConnectOptions connect{
        .qid = qid, .sqsize = 15, .cntlid = qid == 0 ? uint16_t{0xffff} : uint16_t{1}};
    send({.bytes = tcp::testing::ic_req(digests)});
    send({.bytes = tcp::testing::connect_capsule(0, connect, digests)});
    if (qid == 0) send({.bytes = tcp::testing::property_set(0, nvme::property::kCc, kEnabled, digests)});
    check();
  }
  /// An H2CData becomes the answer to the last R2T.
  void echo(fuzz::Bytes& bytes) {
    auto parts = fuzz::take_apart(bytes, checker.digests());
    if (!parts || tcp::PduType(parts->header[0]) != tcp::PduType::kH2cData) return;
    std::memcpy(parts->header.data() + offsetof(tcp::DataPdu, cccid), &asked->cccid, sizeof asked->cccid);
    std::memcpy(parts->header.data() + offsetof(tcp::DataPdu, ttag), &asked->ttag, sizeof asked->ttag);
    bytes = fuzz::put_together(*parts, checker.digests());
  }
  void check() {
    if (const auto r2t = checker.on_answer(wire.out)) asked = r2t;
  }

  tcp::testing::TestPeer wire;
  fuzz::AnswerChecker checker;
  fuzz::Bytes held;
  std::optional<tcp::R2t> asked;
};

void run(const Script& script) {
  tcp::testing::TestTarget target{limits_of(script.options[0]), kBlocks};
  {
    std::array<std::unique_ptr<Peer>, fuzz::kConnections> peers;
    for (uint8_t qid = 0; qid < fuzz::live_queues(script); ++qid) {
      peers[qid] = std::make_unique<Peer>(target, tcp::testing::PeerOptions{});
      peers[qid]->prepare(qid, fuzz::peer_of(fuzz::digests_of_live(script)));
    }
    for (const Step& step : script.steps) {
      auto& peer = peers[step.connection];
      switch (step.kind) {
        case Step::Kind::kSend:
        case Step::Kind::kHold:
          if (peer != nullptr && peer->wire.is_closed) peer.reset();
          if (peer == nullptr) peer = std::make_unique<Peer>(target, tcp::testing::PeerOptions{});
          peer->send(step);
          break;
        case Step::Kind::kTime: {
          target.advance(milliseconds(100 * step.argument));
          for (auto& each : peers) {
            if (each != nullptr) each->wire.advance({});
          }
          break;
        }
        case Step::Kind::kWindow:
          if (peer == nullptr) break;
          peer->wire.options.takes_bytes = step.argument > 0;
          peer->wire.options.window = step.argument == 255 ? SIZE_MAX : size_t{step.argument} * 16;
          break;
        case Step::Kind::kHangUp:
          if (peer != nullptr) peer->wire.hang_up();
          break;
      }
      for (auto& each : peers) {
        if (each == nullptr) continue;
        each->wire.settle();
        each->check();
      }
    }
  }
  target.check_quiescent();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  run(fuzz::read_script(std::as_bytes(std::span(data, size))));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  return fuzz::mutate_script(fuzz::kHostDialect, {data, size, max_size}, seed);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* data1, size_t size1, const uint8_t* data2, size_t size2,
                                            uint8_t* out, size_t max_size, unsigned int seed) {
  return fuzz::cross_scripts(fuzz::kHostDialect, {data1, size1}, {data2, size2}, {out, max_size}, seed);
}
