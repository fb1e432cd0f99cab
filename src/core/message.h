// What crosses reactors: a message is delivered once, on the receiving reactor's thread, in the order in which one sender posted.
#pragma once
#include <atomic>
#include <functional>

namespace weft {

/// Embedded in the object that travels, or made by make_message(). Not in two mailboxes at once.
class Message {
 public:
  virtual ~Message() = default;
  /// Runs on the receiver's thread. The message may be destroyed or posted again inside.
  virtual void deliver() = 0;

 private:
  friend class Mailbox;
  std::atomic<Message*> next_{nullptr};
};

}  // namespace weft
