#include "app/device_queue.h"

#include <utility>

namespace weft::app {

DeviceQueue::DeviceQueue(Reactor& reactor, std::unique_ptr<bdev::Channel> channel, uint32_t block_bytes, uint16_t entries)
    : reactor_(reactor), channel_(std::move(channel)), block_bytes_(block_bytes), flights_(entries) {
  for (Flight& flight : flights_) {
    flight.queue = this;
    free_.push_back(&flight);
  }
  ended_.reserve(entries);
}

DeviceQueue::~DeviceQueue() { WEFT_ASSERT(free_.size() == flights_.size() && !is_telling_); }

void DeviceQueue::submit(host::Command& command) {
  WEFT_ASSERT(has_room());
  Flight& flight = *free_.back();
  free_.pop_back();
  flight.command = &command;
  const bool is_read = command.sqe.opcode == uint8_t(nvme::IoOpcode::kRead);
  WEFT_ASSERT(is_read || command.sqe.opcode == uint8_t(nvme::IoOpcode::kWrite));
  // A write's data is read only; an Io has one kind of span for both directions.
  const std::span<std::byte> out{const_cast<std::byte*>(command.out.data()), command.out.size()};
  flight.io.op = is_read ? bdev::Op::kRead : bdev::Op::kWrite;
  flight.io.block = uint64_t{command.sqe.cdw11} << 32 | command.sqe.cdw10;
  flight.io.data = is_read ? command.in : out;
  flight.io.block_count = flight.io.data.size() / block_bytes_;
  flight.io.context = &flight;
  flight.io.on_done = [](bdev::Io& io, nvme::Status status) {
    auto* self = static_cast<Flight*>(io.context);
    self->status = status;
    self->queue->ended(*self);
  };
  channel_->submit(flight.io);
}

/// A device may be done before submit() returns; who submits is told later.
void DeviceQueue::ended(Flight& flight) {
  ended_.push_back(&flight);
  if (!std::exchange(is_telling_, true)) reactor_.post(static_cast<Message&>(*this));
}

void DeviceQueue::deliver() {
  is_telling_ = false;
  // Those that end from now on, because commands are submitted again, are for the next message.
  const size_t count = ended_.size();
  for (size_t i = 0; i < count; ++i) {
    Flight& flight = *ended_[i];
    nvme::Cqe cqe{};
    cqe.cid = flight.command->sqe.cid;
    cqe.status = flight.status.to_cqe();
    free_.push_back(&flight);
    flight.command->on_completed(cqe);
  }
  ended_.erase(ended_.begin(), ended_.begin() + ptrdiff_t(count));
}

void DeviceQueue::close(const Error& reason) {
  if (std::exchange(is_closed_, true)) return;
  reason_ = reason;
}

}  // namespace weft::app
