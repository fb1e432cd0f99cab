#include "sim/stranger.h"

#include "base/bytes.h"
#include "wire/tcp/pdu.h"

#include <array>

namespace weft::sim {

Stranger::Stranger(const Setting& setting, size_t machine, uint64_t seed)
    : setting_(setting),
      random_(seed),
      core_(setting.agenda, random_.next()),
      net_(setting.network, machine, core_),
      reactor_({}, core_, sink_) {
  reactor_.add(net_);
  reactor_.add(*this);
  core_.run(reactor_);
}

Stranger::~Stranger() {
  calls_.clear();
  reactor_.remove(*this);
  reactor_.remove(net_);
}

void Stranger::storm(const net::Address& address, size_t count, Duration stay) {
  reactor_.post([this, address, count, stay] {
    for (size_t i = 0; i < count; ++i) {
      auto stream = net_.connect(address);
      WEFT_ASSERT(stream.has_value());
      const Duration length = nanoseconds(int64_t(random_.below(uint64_t(stay.ns) + 1)));
      Call& call = calls_.emplace_back(std::move(*stream), draw_words(), reactor_.now() + length,
                                        random_.one_in(4) ? Call::AtEnd::kStays : Call::AtEnd::kLeaves);
      WEFT_ASSERT(call.start().has_value());
      setting_.agenda.after(length, [this] { core_.wake(); });
    }
  });
}

void Stranger::leave() {
  reactor_.post([this] { calls_.clear(); });
}

std::vector<std::byte> Stranger::draw_words() {
  std::vector<std::byte> words;
  tcp::IcReq request{.ch = {.type = uint8_t(tcp::PduType::kIcReq), .hlen = sizeof(tcp::IcReq)}};
  request.ch.plen = sizeof request;
  switch (random_.below(4)) {
    case 0:
      break;  // silence
    case 1:
      words.resize(random_.below(300));
      break;
    default:
      words.assign(bytes_of(request).begin(), bytes_of(request).end());
      words.resize(random_.below(400));
  }
  // What follows a right beginning, or all of it, is noise.
  const size_t right = random_.one_in(2) ? words.size() : random_.below(words.size() + 1);
  for (size_t i = right; i < words.size(); ++i) words[i] = std::byte(random_.next());
  return words;
}

size_t Stranger::poll() {
  return std::erase_if(calls_, [&](const Call& call) { return call.is_over(reactor_.now()); });
}

void Stranger::Call::on_readable() {
  std::array<std::byte, 512> ignored;
  const iovec target{ignored.data(), ignored.size()};
  net::Transfer transfer;
  do {
    transfer = stream_.receive({&target, 1});
  } while (transfer.kind == net::Transfer::Kind::kBytes && !transfer.is_exhausted);
  is_over_ |= transfer.kind == net::Transfer::Kind::kError;
  is_over_ |= transfer.kind == net::Transfer::Kind::kEnd && at_end_ == AtEnd::kLeaves;
}

void Stranger::Call::on_writable() {
  while (said_ < words_.size() && !is_over_) {
    const iovec rest{words_.data() + said_, words_.size() - said_};
    const net::Transfer transfer = stream_.send({&rest, 1});
    if (transfer.kind != net::Transfer::Kind::kBytes) {
      is_over_ |= transfer.kind == net::Transfer::Kind::kError;
      return;
    }
    said_ += transfer.bytes;
    if (transfer.is_exhausted) return;
  }
}

}  // namespace weft::sim
