#include "sim/io_lane.h"

#include "base/assert.h"

namespace weft::sim {

void IoLane::feed(size_t appetite) {
  appetite_ = appetite;
  go_on();
}

void IoLane::go_on() {
  // Room for a pair: which it will be is drawn later.
  while (outstanding_ + 2 <= entries_ && outstanding_ < appetite_ && queue_.has_room() && owner_.may_submit()) {
    auto drawn = owner_.draw();
    if (!drawn) return;
    if (free_.empty()) {
      commands_.push_back(std::make_unique<IoCommand>(static_cast<IoCommandOwner&>(*this)));
      free_.push_back(commands_.back().get());
    }
    IoCommand& command = *free_.back();
    free_.pop_back();
    command.start(std::move(*drawn), queue_, owner_.now());
    outstanding_ += command.halves();
    owner_.began(command, qid_);
  }
}

void IoLane::on_answered(IoCommand& command) {
  WEFT_ASSERT(outstanding_ >= command.halves());
  outstanding_ -= command.halves();
  owner_.ended(command, qid_);
  free_.push_back(&command);
  go_on();
}

void IoLane::close_if_late(Instant deadline) {
  for (const auto& command : commands_) {
    if (!command->is_outstanding() || command->submitted() >= deadline) continue;
    return queue_.close(Error{Errc::kTimedOut, "no answer to an I/O command in time"});
  }
}

IoCommand* IoLane::pick(Prng& prng) {
  if (outstanding_ == 0) return nullptr;
  const size_t start = prng.below(commands_.size());
  for (size_t i = 0; i < commands_.size(); ++i) {
    IoCommand& command = *commands_[(start + i) % commands_.size()];
    if (command.is_outstanding()) return &command;
  }
  return nullptr;
}

}  // namespace weft::sim
