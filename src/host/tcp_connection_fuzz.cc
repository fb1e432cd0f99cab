// Scripts of PDUs (fuzz/pdu_script.h) from a hostile target against the initiator's connection, which keeps three reads
// and three writes outstanding. Each command completes exactly once, what the host sends are right PDUs with the
// commands' own data, and the connection ends in order. An echo step is about one of the outstanding commands, whatever
// its CID is. Options: fuzz/target_phrases.h.
#include "fuzz/target_phrases.h"
#include "host/test_support.h"
#include "wire/print.h"

#include <array>
#include <cstdint>
#include <map>

namespace {

using namespace weft;
using namespace weft::host;
using fuzz::Script;
using fuzz::Step;

class Again final : public Command {
 public:
  void on_completed(const nvme::Cqe&) override {
    WEFT_ASSERT(is_outstanding);
    is_outstanding = false;
  }
  bool is_outstanding = false;
};

/// The queue, its commands, and what the target has received of them.
class Host {
 public:
  explicit Host(const QueueOptions& options) : digests_{options.digests.header, options.digests.data}, wire_(options) {
    for (size_t i = 0; i < commands_.size(); ++i) {
      if (i % 2 == 0) {
        in_[i / 2].resize(kSizes[i / 2]);
        commands_[i].in = in_[i / 2];
      } else {
        commands_[i].out = std::span(out_).first(i == 1 ? 512 : out_.size());
      }
    }
  }
  ~Host() {
    wire_.close();
    for (const Again& command : commands_) WEFT_ASSERT(!command.is_outstanding);
  }

  testing_support::Wire& wire() { return wire_; }
  bool is_closed() const { return wire_.closed > 0; }

  void submit_all() {
    for (Again& command : commands_) {
      if (command.is_outstanding || !wire_.connection.has_room()) continue;
      command.is_outstanding = true;
      command.sqe.nsid = uint32_t(&command - commands_.data());  // so that the checks know which it is
      wire_.connection.submit(command);
    }
  }
  void drain(size_t piece) {
    const fuzz::Bytes bytes = wire_.drain(piece);
    sent_.insert(sent_.end(), bytes.begin(), bytes.end());
    size_t at = 0;
    while (const auto* common = view<tcp::CommonHeader>(std::span(sent_).subspan(at))) {
      const size_t size = common->plen;
      WEFT_ASSERT(size >= sizeof *common);
      if (sent_.size() - at < size) break;
      check(std::span<const std::byte>(sent_).subspan(at, size));
      at += size;
    }
    sent_.erase(sent_.begin(), sent_.begin() + ptrdiff_t(at));
  }
  /// The bytes, about a command that the target knows.
  fuzz::Bytes echo(fuzz::Bytes bytes) const {
    auto parts = fuzz::take_apart(bytes, digests_);
    if (!parts || cids_.empty()) return bytes;
    for (const fuzz::Field field : fuzz::fields_of(uint8_t(parts->header[0]))) {
      if (field.meaning != fuzz::Meaning::kCid) continue;
      std::byte* at = parts->header.data() + field.offset;
      const le16 cid = std::next(cids_.begin(), load_le16(at) % ptrdiff_t(cids_.size()))->first;
      std::memcpy(at, &cid, sizeof cid);
    }
    return fuzz::put_together(*parts, digests_);
  }

 private:
  static constexpr std::array<size_t, 3> kSizes{512, 4096, 8192};

  /// A PDU of ours, as the target reads it.
  void check(std::span<const std::byte> pdu) {
    WEFT_ASSERT(!tcp::pdu_to_text(pdu).empty());
    const auto& common = *view<tcp::CommonHeader>(pdu);
    WEFT_ASSERT(fuzz::header_size_of(common.type) == common.hlen);
    const auto parts = fuzz::take_apart(pdu, digests_);
    WEFT_ASSERT(parts.has_value());
    WEFT_ASSERT(std::ranges::equal(fuzz::put_together(*parts, digests_), pdu));  // lengths, flags and digests
    switch (tcp::PduType(common.type)) {
      case tcp::PduType::kIcReq:
        return;
      case tcp::PduType::kCapsuleCmd: {
        const auto& sqe = view<tcp::CapsuleCmd>(pdu)->sqe;
        WEFT_ASSERT(sqe.nsid < commands_.size());
        cids_[sqe.cid] = &commands_[sqe.nsid];
        if (!parts->data.empty()) WEFT_ASSERT(std::ranges::equal(parts->data, commands_[sqe.nsid].out));
        return;
      }
      case tcp::PduType::kH2cData: {
        const auto& header = *view<tcp::DataPdu>(pdu);
        const auto known = cids_.find(header.cccid);
        WEFT_ASSERT(known != cids_.end());
        const auto data = known->second->out;
        WEFT_ASSERT(size_t{header.datao} + header.datal <= data.size());
        WEFT_ASSERT(std::ranges::equal(parts->data, data.subspan(header.datao, header.datal)));
        return;
      }
      case tcp::PduType::kIcResp:
      case tcp::PduType::kH2cTermReq:
      case tcp::PduType::kC2hTermReq:
      case tcp::PduType::kCapsuleResp:
      case tcp::PduType::kC2hData:
      case tcp::PduType::kR2t:
        break;
    }
    WEFT_ASSERT(!"a PDU that a host sends");
  }

  const fuzz::Digests digests_;
  const fuzz::Bytes out_ = testing_support::pattern(9000, 1);
  std::array<fuzz::Bytes, 3> in_;
  std::array<Again, 6> commands_;
  std::map<uint16_t, Command*> cids_;  // every capsule that has left
  fuzz::Bytes sent_;
  testing_support::Wire wire_;
};

void run(const Script& script) {
  const uint8_t options = script.options[0];
  Host host{{.kind = QueueKind::kIo,
             .entries = 6,
             .in_capsule_bytes = 4096,
             .digests = {.header = (options & fuzz::kOptionHeaderDigest) != 0,
                         .data = (options & fuzz::kOptionDataDigest) != 0}}};
  if ((options & fuzz::kOptionNoFlowControl) != 0) host.wire().connection.disable_flow_control();
  host.drain(SIZE_MAX);
  if ((options & fuzz::kOptionNoHandshake) == 0) host.wire().feed(host.wire().pdus.icresp());
  size_t window = SIZE_MAX;
  fuzz::Bytes held;
  for (const Step& step : script.steps) {
    if (host.is_closed()) return;
    host.submit_all();
    if (window > 0) host.drain(window);
    switch (step.kind) {
      case Step::Kind::kSend:
      case Step::Kind::kHold: {
        const fuzz::Bytes bytes = step.is_echo ? host.echo(step.bytes) : step.bytes;
        held.insert(held.end(), bytes.begin(), bytes.end());
        if (step.kind == Step::Kind::kSend)
          host.wire().feed(std::exchange(held, {}), step.argument == 0 ? SIZE_MAX : step.argument);
        break;
      }
      case Step::Kind::kWindow:
        window = step.argument == 255 ? SIZE_MAX : size_t{step.argument} * 16;
        break;
      case Step::Kind::kHangUp:
        host.wire().close();
        break;
      case Step::Kind::kTime:
        break;  // the connection keeps none
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  run(fuzz::read_script(std::as_bytes(std::span(data, size))));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  return fuzz::mutate_script(fuzz::kTargetDialect, {data, size, max_size}, seed);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* data1, size_t size1, const uint8_t* data2, size_t size2,
                                            uint8_t* out, size_t max_size, unsigned int seed) {
  return fuzz::cross_scripts(fuzz::kTargetDialect, {data1, size1}, {data2, size2}, {out, max_size}, seed);
}
