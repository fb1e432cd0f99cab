// Carries one error of an I/O queue to its controller's error log and comes back empty. Embedded in the queue, so that reporting errors never
// allocates; while it is under way, further errors are not logged (their completions then lack the More bit).
#pragma once
#include "core/message.h"
#include "core/reactor.h"
#include "wire/nvme/log_pages.h"

namespace weft::nvmf {

class Controller;

class ErrorNote final : public Message {
 public:
  explicit ErrorNote(Reactor& sender) : sender_(sender) {}
  /// Sends it. False while it is under way. On the sender's reactor. The controller must not go before the note is back: it waits for its
  /// queues, and a queue's farewell is posted after its notes.
  bool send(Controller& controller, const nvme::ErrorLogEntry& entry);

 private:
  void deliver() override;
  Reactor& sender_;
  Controller* controller_ = nullptr;  // set on the way there, null on the way back
  bool is_away_ = false;              // the sender's
  nvme::ErrorLogEntry entry_{};
};

}  // namespace weft::nvmf
