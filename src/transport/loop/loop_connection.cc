#include "transport/loop/loop_connection.h"

#include <algorithm>
#include <cstring>

namespace weft::loop {

using nvmf::Command;
using nvmf::DataDescriptor;

Connection::Connection(nvmf::Shard& shard, nvmf::Origin origin) : shard_(shard), queue_(shard, *this, std::move(origin)) {}

Connection::~Connection() { WEFT_ASSERT(is_detached_ || requests_.empty()); }

bool Connection::submit(Request request) {
  if (!takes_commands_ || is_closed_) return false;
  request.sqe.flags = uint8_t((request.sqe.flags & 0x3f) | uint8_t(nvme::Psdt::kSglContiguousMetadata) << 6);
  Command* command = queue_.begin(request.sqe);
  if (command == nullptr) return false;
  requests_.push_back(std::make_unique<Pending>(Pending{std::move(request), command}));
  if (!is_stalled_) hand_over(*requests_.back());
  return true;
}

void Connection::hand_over(Pending& pending) {
  const Request& request = pending.request;
  DataDescriptor descriptor;
  std::span<const std::byte> in_capsule;
  if (!request.from_host.empty()) {
    const bool is_in_capsule = request.delivery == Delivery::kInCapsule &&
                               request.from_host.size() <= queue_.in_capsule_max(request.sqe);
    descriptor.kind = is_in_capsule ? DataDescriptor::Kind::kInCapsule : DataDescriptor::Kind::kRemote;
    descriptor.length = uint32_t(request.from_host.size());
    if (is_in_capsule) in_capsule = request.from_host;
  } else if (!request.to_host.empty()) {
    descriptor.kind = DataDescriptor::Kind::kRemote;
    descriptor.length = uint32_t(request.to_host.size());
  }
  is_stalled_ = queue_.submit(*pending.command, descriptor, in_capsule) == nvmf::Submitted::kStalled;
}

void Connection::resume() {
  is_stalled_ = false;
  for (size_t i = 0; i < requests_.size() && !is_stalled_;) {
    const bool is_new = requests_[i]->command->state == nvmf::CommandState::kNew;
    if (is_new) {
      hand_over(*requests_[i]);
      i = 0;  // completions have changed the list
    } else {
      ++i;
    }
  }
}

Connection::Pending& Connection::pending_of(const Command& command) {
  const auto found = std::ranges::find_if(requests_, [&](const auto& pending) { return pending->command == &command; });
  WEFT_ASSERT(found != requests_.end());
  return **found;
}

void Connection::start_receive(Command& command) {
  requested_.push_back(&command);
  if (!is_holding_) deliver_all();
}

void Connection::deliver_all() {
  for (Command* command : std::exchange(requested_, {})) {
    std::memcpy(command->data.data(), pending_of(*command).request.from_host.data(), command->data.size());
    queue_.received(*command, nvme::status::kSuccess);
  }
}

void Connection::respond(Command& command) {
  const nvme::Cqe cqe = queue_.make_cqe(command);
  const auto found = std::ranges::find_if(requests_, [&](const auto& pending) { return pending->command == &command; });
  WEFT_ASSERT(found != requests_.end());
  const std::unique_ptr<Pending> pending = std::move(*found);
  requests_.erase(found);
  const auto& data = command.response_data;
  if (!data.empty()) std::memcpy(pending->request.to_host.data(), data.data(), std::min(data.size(), pending->request.to_host.size()));
  queue_.responded(command);
  if (pending->request.on_done) pending->request.on_done(cqe);
}

void Connection::close(nvmf::CloseReason reason) {
  if (is_closed_) return;
  close_reason_ = reason;
  is_closed_ = true;
  shard_.reactor().post([this] {
    requested_.clear();
    requests_.clear();
    queue_.detach();
  });
}

void Connection::disconnect() { close(nvmf::CloseReason::kAssociationEnded); }

}  // namespace weft::loop
