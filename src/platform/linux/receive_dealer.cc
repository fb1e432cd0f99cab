#include "platform/linux/receive_dealer.h"

#include <utility>

#include "base/assert.h"

namespace weft::platform {

verbs::Posted ReceiveDealer::post(ibv_recv_wr* receives) {
  for (; receives != nullptr; receives = receives->next) {
    WEFT_ASSERT(receives->num_sge == 1);
    Receive& receive = receives_[receives->wr_id];
    WEFT_ASSERT(!receive.is_posted);
    receive.piece = *receives->sg_list;
    if (receive.owner != nullptr && !receive.owner->is_closed_) {
      deal(*receive.owner, receives->wr_id, receive);
    } else {
      receive.owner = nullptr;
      free_.push_back(receives->wr_id);
    }
  }
  feed();
  return post_dealt();
}

verbs::Posted ReceiveDealer::add(ReceiveQueue& queue, uint32_t count) {
  queue.missing_ = count;
  hungry_.push_back(&queue);
  feed();
  return post_dealt();
}

void ReceiveDealer::close(ReceiveQueue& queue) {
  queue.is_closed_ = true;
  std::erase(hungry_, &queue);
}

verbs::Posted ReceiveDealer::remove(const ReceiveQueue& queue) {
  for (auto& [wr_id, receive] : receives_) {
    if (receive.owner != &queue) continue;
    receive.owner = nullptr;
    if (std::exchange(receive.is_posted, false)) free_.push_back(wr_id);  // others are their poster's, who brings them back
  }
  feed();
  return post_dealt();
}

void ReceiveDealer::deal(ReceiveQueue& queue, uint64_t wr_id, Receive& receive) {
  if (queue.dealt_.empty()) dealt_to_.push_back(&queue);
  receive.owner = &queue;
  receive.is_posted = true;
  queue.dealt_.push_back({.wr_id = wr_id, .next = nullptr, .sg_list = &receive.piece, .num_sge = 1});  // nodes of the map stay where they are
}

/// Free ones to those who miss some, in the order in which they came.
void ReceiveDealer::feed() {
  while (!hungry_.empty() && !free_.empty()) {
    ReceiveQueue& queue = *hungry_.front();
    if (queue.missing_ == 0) {
      hungry_.erase(hungry_.begin());
      continue;
    }
    --queue.missing_;
    deal(queue, free_.back(), receives_.at(free_.back()));
    free_.pop_back();
  }
}

/// One call for each queue.
verbs::Posted ReceiveDealer::post_dealt() {
  verbs::Posted result;
  for (ReceiveQueue* queue : std::exchange(dealt_to_, {})) {
    auto& chain = queue->dealt_;
    for (size_t i = 0; i + 1 < chain.size(); ++i) chain[i].next = &chain[i + 1];
    ibv_recv_wr* refused = nullptr;
    const int failed = queue->post_receive(chain.data(), &refused);
    if (failed != 0) result = {.error_number = failed, .refused = nullptr};
    chain.clear();
  }
  return result;
}

}  // namespace weft::platform
