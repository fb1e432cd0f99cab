// Stands for the shared receive queue of a domain on a device that has none: each queue pair has a receive queue of its own, and the receives that the
// domain's owner posts are dealt to them. A receive stays with its queue pair, to which it goes back each time that it was used, until that retires:
// so none takes what another was promised. Belongs to the domain's reactor.
#pragma once
#include <infiniband/verbs.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "verbs/verbs.h"

namespace weft::platform {

/// A queue pair with a receive queue of its own.
class ReceiveQueue {
 public:
  virtual ~ReceiveQueue() = default;
  /// As ibv_post_recv(): 0, or an error number and the first that was refused.
  virtual int post_receive(ibv_recv_wr* receives, ibv_recv_wr** refused) = 0;

 protected:
  ReceiveQueue() = default;

 private:
  friend class ReceiveDealer;
  uint32_t missing_ = 0;            // of those that it was promised
  std::vector<ibv_recv_wr> dealt_;  // and not posted yet
  bool is_closed_ = false;
};

class ReceiveDealer {
 public:
  /// Takes a chain, each of one piece and with a wr_id that no other receive has: to where it was before, or to who was promised some.
  verbs::Posted post(ibv_recv_wr* receives);
  /// From now on `queue` has `count` receives: free ones at once, the others when there are some. Outlives: `queue` lives until remove().
  verbs::Posted add(ReceiveQueue& queue, uint32_t count);
  /// Nothing is posted to `queue` any more: it is about to be destroyed.
  void close(ReceiveQueue& queue);
  /// `queue`, closed, is destroyed, and its completions are polled: what it had is free. Looks at nothing but its address.
  verbs::Posted remove(const ReceiveQueue& queue);
  /// The completion of a receive was polled.
  void polled(uint64_t wr_id) { receives_.at(wr_id).is_posted = false; }

 private:
  struct Receive {
    ibv_sge piece{};
    ReceiveQueue* owner = nullptr;  // null: free
    bool is_posted = false;
  };
  void deal(ReceiveQueue& queue, uint64_t wr_id, Receive& receive);
  void feed();
  verbs::Posted post_dealt();

  std::unordered_map<uint64_t, Receive> receives_;  // all, by wr_id
  std::vector<uint64_t> free_;
  std::vector<ReceiveQueue*> hungry_;  // have fewer than they were promised
  std::vector<ReceiveQueue*> dealt_to_;
};

}  // namespace weft::platform
