// The owner's side of the connection: slots, submission, the end. Sending is in tcp_send.cc, receiving in tcp_receive.cc.
#include "host/tcp_connection.h"

#include "base/assert.h"
#include "base/bits.h"

namespace weft::host {
namespace {

Error error_of(net::Closing closing) {
  switch (closing.reason) {
    case net::Closing::Reason::kPeer: return {Errc::kClosed, "the target closed the connection"};
    case net::Closing::Reason::kError: return Error::from_errno(closing.error_number, "the connection failed");
    case net::Closing::Reason::kStalled: return {Errc::kTimedOut, "the target takes no bytes any more"};
    case net::Closing::Reason::kProtocol: break;
  }
  return {Errc::kClosed, "closed by this host"};
}

}  // namespace

TcpConnection::TcpConnection(const QueueOptions& options, QueueEvents& events)
    : options_(options), events_(events), slots_(options.entries) {
  WEFT_ASSERT(options.entries > 0);
  WEFT_ASSERT(options.entries <= kQueueEntriesMax);
  free_.reserve(options.entries);
  for (uint16_t i = options.entries; i > 0; --i) free_.push_back(uint16_t(i - 1));
  build_icreq();
}

TcpConnection::~TcpConnection() {
  while (sending_.pop_front() != nullptr) {
  }
}

uint16_t TcpConnection::cid_of(const Slot& slot) const {
  const auto index = uint16_t(&slot - slots_.data());
  return uint16_t(index | (slot.generation & 0xf) << 12);
}

void TcpConnection::submit(Command& command) {
  WEFT_ASSERT(has_room());
  WEFT_ASSERT(command.out.empty() || command.in.empty());
  Slot& slot = slots_[free_.back()];
  free_.pop_back();
  WEFT_ASSERT(slot.progress == Progress::kFree);
  slot.command = &command;
  slot.progress = Progress::kCapsule;
  slot.data_bytes = slot.r2t_end = 0;
  slot.has_last = slot.has_bad_data_digest = false;
  command.sqe.cid = cid_of(slot);
  build_capsule(slot);
  enqueue(slot);
}

void TcpConnection::complete(Slot& slot, nvme::Cqe cqe) {
  WEFT_ASSERT(slot.command != nullptr);
  WEFT_ASSERT(!slot.send_link.is_linked());
  if (slot.has_bad_data_digest && cqe.decoded_status().ok()) cqe.status = nvme::status::kDataTransferError.to_cqe();
  Command& command = *std::exchange(slot.command, nullptr);
  slot.progress = Progress::kFree;
  slot.early.reset();
  slot.payload = {};
  ++slot.generation;
  free_.push_back(uint16_t(&slot - slots_.data()));
  command.on_completed(cqe);
}

void TcpConnection::close(const Error& reason) {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  reason_ = reason;
  outlet_->wants_send();  // so that the pump looks at wish()
}

void TcpConnection::on_closed(net::Closing closing) {
  state_ = State::kClosed;
  if (!reason_) reason_ = error_of(closing);
  receiving_ = nullptr;
  while (sending_.pop_front() != nullptr) {
  }
  for (Slot& slot : slots_) {
    if (slot.command == nullptr) continue;
    nvme::Cqe cqe{};
    cqe.cid = cid_of(slot);
    cqe.status = nvme::status::kAbortedByHost.to_cqe();
    complete(slot, cqe);
  }
  events_.on_closed(*reason_);
}

}  // namespace weft::host
