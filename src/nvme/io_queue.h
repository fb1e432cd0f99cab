// One I/O queue pair on the reactor that uses it. The controller (on its own reactor) creates it in the device, halts it, ends what is outstanding
// and lets it go on, all by messages; here is what happens on this side, and the first rungs of the ladder for commands that are late: their
// controller is asked to abort the command, then to delete the queue, and what comes after that is its own decision. An I/O queue is made by
// Controller::open_queue() and given back by close(); the controller destroys it when the device has forgotten it.
//
//   kOpening ─resume()─► kLive ─halt()─► kHalted ─resume()─► kLive          any ─fail()─► kFailed
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "core/reactor.h"
#include "nvme/queue_pair.h"

namespace weft::nvme {

class Controller;

/// Who uses the queue.
class IoQueueClient {
 public:
  /// It is live and may be used, or it has failed for good: see state().
  virtual void on_queue_changed() = 0;
  /// Something ended: there may be room.
  virtual void on_room() = 0;

 protected:
  ~IoQueueClient() = default;
};

class IoQueue final : public Poller {
 public:
  enum class State : uint8_t { kOpening, kLive, kHalted, kFailed };
  struct Timing {
    Duration command;  // from begin() until a command is late; again, until it is late after its abort
  };

  /// Takes its place among the reactor's pollers. Outlives: all of them outlive the queue.
  IoQueue(Controller& controller, Reactor& reactor, IoQueueClient& client, pci::Function& function, uint16_t vector, Timing timing);
  ~IoQueue() override = default;

  // --- for its client ----------------------------------------------------------------------------------------------------
  State state() const { return state_; }
  bool has_room() const { return state_ == State::kLive && pair_->has_room(); }
  /// As QueuePair::begin(). Requires: has_room().
  QueuePair::Slot begin(const Recipient& recipient);
  /// Not used any more; the controller destroys it. Requires: nothing is outstanding.
  void close();
  uint32_t outstanding() const { return pair_ ? pair_->outstanding() : 0; }
  /// Doorbell registers written so far. Requires: it was live.
  uint64_t rings() const { return pair_->rings(); }

  // --- for the controller, on this queue's reactor -----------------------------------------------------------------------
  void halt();
  /// The device has forgotten it. First takes what it still completed, unless the controller broke down.
  enum class Rest : uint8_t { kReap, kDrop };
  void end_all(Rest rest);
  void resume();
  void fail();
  Reactor& reactor() const { return reactor_; }
  uint16_t vector() const { return vector_; }

  // --- the controller's own, on its reactor ------------------------------------------------------------------------------
  /// Gives it its rings. Requires: kOpening, before the first resume().
  void attach(const QueuePair::Shape& shape, pci::DmaBuffer memory, const ShadowDoorbells& shadows);
  /// Requires: attached.
  const QueuePair& pair() const { return *pair_; }
  struct Notes {
    uint16_t qid = 0;                   // 0: it has none
    bool is_in_device = false;
    bool has_failed = false;
    bool is_closing = false;
    bool must_be_deleted = false;       // the second rung
    std::optional<uint16_t> abort_cid;  // the first
  };
  Notes notes;

  size_t poll() override;
  size_t flush() override;
  bool prepare_sleep() override;

 private:
  void look_for_late();

  Controller& controller_;
  Reactor& reactor_;
  IoQueueClient* client_;  // null: closed
  pci::Function& function_;
  std::optional<QueuePair> pair_;
  uint16_t vector_;
  Timing timing_;
  State state_ = State::kOpening;
  Timer timer_ = Timer::calling<&IoQueue::look_for_late>(this);
};

/// Gives a queue back when it dies.
struct IoQueueCloser {
  void operator()(IoQueue* queue) const { queue->close(); }
};
using IoQueueHandle = std::unique_ptr<IoQueue, IoQueueCloser>;

}  // namespace weft::nvme
