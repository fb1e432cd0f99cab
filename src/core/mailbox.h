// A reactor's mailbox: many producers, one consumer, intrusive, so it is never full and posting cannot fail. After D. Vyukov's
// node-based queue: one exchange to post, no compare-and-swap loop; a producer caught between its two steps hides later messages until
// it has finished, which poll() reports as empty; such a producer wakes the reactor when it is done.
#pragma once
#include "core/message.h"

namespace weft {

class Mailbox {
 public:
  Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Any thread. Takes over `message` until it is delivered.
  void post(Message& message);
  /// The oldest message, or null. Consumer's thread only.
  Message* take();
  /// True when take() would give nothing. Consumer's thread only; a post in progress may be missed.
  bool empty() const;

 private:
  struct Stub final : Message {
    void deliver() override {}
  };
  void push(Message& message);

  std::atomic<Message*> newest_;
  Message* oldest_;
  Stub stub_;
};

}  // namespace weft
