#include "bench/pumped_queue.h"

#include <utility>

#include "bench/system.h"

namespace weft::bench {
namespace {

namespace testing = tcp::testing;

constexpr size_t kPipeBytes = 4 << 20;    // holds the answers of a batch, so that nothing is ever sent in parts
constexpr int kTurnsMax = 1000;           // without an answer
constexpr size_t kTransferMax = 64 << 10; // of one R2T

net::Sockets::Options socket_options(const Limits& limits) {
  return {.receive_bytes = limits.receive_buffer_bytes,
          .send_iovecs = limits.send_iovecs,
          .partial_bytes = tcp::Connection::kPartialMax,
          .stalled_send = milliseconds(limits.stalled_send_ms)};
}

std::shared_ptr<net::MemoryPipe> make_pipe() {
  return std::make_shared<net::MemoryPipe>(net::MemoryPipe{.bytes = {}, .capacity = kPipeBytes, .segment_bytes = kPipeBytes});
}

}  // namespace

PumpedTarget::PumpedTarget()
    : target(testing::small_limits()),
      sockets(target.reactor, socket_options(testing::small_limits())),
      connections(net, sockets, *target.target->shards().front()) {
  target.reactor.add(net);
  target.reactor.add(sockets);
}

PumpedQueue::PumpedQueue(PumpedTarget& target, const testing::PeerOptions& options)
    : target_(target), options_(options), to_target_(make_pipe()), from_target_(make_pipe()), payload_(kTransferMax, std::byte{0x5a}) {
  const net::Address address{.host = "127.0.0.1", .port = 4420};
  target.connections.adopt(net::MemoryLink{to_target_, from_target_, address, address}, true, [this] { is_gone_ = true; });
  run(testing::ic_req(options), 1);
}

PumpedQueue::~PumpedQueue() {
  to_target_->is_closed_by_sender = true;
  for (int i = 0; i < kTurnsMax && !is_gone_; ++i) target_.target.advance(milliseconds(10));
  WEFT_ASSERT(is_gone_);
}

void PumpedQueue::run(std::span<const std::byte> capsules, size_t commands) {
  done_ = 0;
  send(capsules);
  for (int idle = 0; done_ < commands; ++idle) {
    if (idle == kTurnsMax || is_gone_) die("the target does not answer");
    target_.target.reactor.run_once();
    if (!from_target_->bytes.empty()) idle = 0;
    take_pdus();
  }
  if (done_ > commands || !received_.empty()) die("the target said more than it was asked");
}

void PumpedQueue::send(std::span<const std::byte> bytes) {
  if (to_target_->bytes.size() + bytes.size() > to_target_->capacity) die("a batch is larger than the pipe");
  to_target_->bytes.insert(to_target_->bytes.end(), bytes.begin(), bytes.end());
}

void PumpedQueue::take_pdus() {
  received_.insert(received_.end(), from_target_->bytes.begin(), from_target_->bytes.end());
  from_target_->bytes.clear();
  std::span<const std::byte> rest = received_;
  while (const auto* header = view<tcp::CommonHeader>(rest)) {
    const uint32_t size = header->plen;
    if (size < sizeof *header) die("a PDU without a length");
    if (size > rest.size()) break;
    take(rest.first(size));
    rest = rest.subspan(size);
  }
  received_.assign(rest.begin(), rest.end());
}

void PumpedQueue::take(std::span<const std::byte> pdu) {
  const auto& header = *view<tcp::CommonHeader>(pdu);
  switch (tcp::PduType(header.type)) {
    case tcp::PduType::kIcResp: ++done_; return;
    case tcp::PduType::kCapsuleResp:
      completion_ = view<tcp::CapsuleResp>(pdu)->cqe;
      if (completion_.status != 0) die("a command failed");
      ++done_;
      return;
    case tcp::PduType::kC2hData:
      completion_ = {};
      if ((header.flags & tcp::kFlagSuccess) != 0) ++done_;
      return;
    case tcp::PduType::kR2t: return answer(*view<tcp::R2t>(pdu));
    case tcp::PduType::kIcReq:
    case tcp::PduType::kH2cTermReq:
    case tcp::PduType::kC2hTermReq:
    case tcp::PduType::kCapsuleCmd:
    case tcp::PduType::kH2cData: break;
  }
  die("an unexpected PDU");
}

void PumpedQueue::answer(const tcp::R2t& request) {
  tcp::DataPdu data{};
  data.cccid = request.cccid;
  data.ttag = request.ttag;
  data.datao = request.r2to;
  data.datal = request.r2tl;
  if (request.r2tl > payload_.size()) die("an R2T asks for more than any command has");
  send(testing::pdu(tcp::PduType::kH2cData, data, tcp::kFlagLast, std::span(payload_).first(request.r2tl), options_));
}

}  // namespace weft::bench
