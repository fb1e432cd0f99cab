#include "core/mailbox.h"

namespace weft {

Mailbox::Mailbox() : newest_(&stub_), oldest_(&stub_) {}

void Mailbox::push(Message& message) {
  message.next_.store(nullptr, std::memory_order_relaxed);
  // acq_rel: the previous node's construction is seen before we link behind it, and ours before anyone links behind us.
  Message* previous = newest_.exchange(&message, std::memory_order_acq_rel);
  previous->next_.store(&message, std::memory_order_release);
}

void Mailbox::post(Message& message) { push(message); }

bool Mailbox::empty() const {
  return oldest_ == &stub_ && stub_.next_.load(std::memory_order_acquire) == nullptr &&
         newest_.load(std::memory_order_acquire) == &stub_;
}

Message* Mailbox::take() {
  Message* first = oldest_;
  Message* second = first->next_.load(std::memory_order_acquire);
  if (first == &stub_) {
    if (second == nullptr) return nullptr;
    oldest_ = first = second;
    second = first->next_.load(std::memory_order_acquire);
  }
  if (second != nullptr) {
    oldest_ = second;
    return first;
  }
  if (newest_.load(std::memory_order_acquire) != first) return nullptr;  // a producer is between its two steps
  push(stub_);  // the last message can only be taken when something stands behind it
  second = first->next_.load(std::memory_order_acquire);
  if (second == nullptr) return nullptr;
  oldest_ = second;
  return first;
}

}  // namespace weft
