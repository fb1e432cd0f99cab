// One I/O queue of a Workload: keeps as many commands outstanding as its appetite is, which the beat changes; ends the
// connection when a command gets no answer in time.
#pragma once
#include "sim/io_command.h"

#include <memory>
#include <vector>

namespace weft::sim {

/// What a lane asks of its workload.
class LaneOwner {
 public:
  /// The next command of a lane. Nothing when there is no namespace.
  virtual std::optional<DrawnCommand> draw() = 0;
  virtual void began(IoCommand& command, uint16_t qid) = 0;
  /// It was answered or lost; the volume has not been told.
  virtual void ended(IoCommand& command, uint16_t qid) = 0;
  virtual bool may_submit() const = 0;
  virtual Instant now() const = 0;

 protected:
  ~LaneOwner() = default;
};

class IoLane final : private IoCommandOwner {
 public:
  /// Outlives: the owner outlives the lane; the queue does not, it ends the commands.
  IoLane(LaneOwner& owner, host::Queue& queue, uint16_t qid, uint16_t entries)
      : owner_(owner), queue_(queue), qid_(qid), entries_(entries) {}

  uint16_t qid() const { return qid_; }
  size_t outstanding() const { return outstanding_; }
  /// Submits until `appetite` commands are outstanding, and from now on whenever one has ended.
  void feed(size_t appetite);
  /// Closes the queue when a command was submitted before `deadline`.
  void close_if_late(Instant deadline);
  /// A command that is outstanding, drawn at random; null when there is none.
  IoCommand* pick(Prng& prng);

 private:
  void go_on();
  void on_answered(IoCommand& command) override;

  LaneOwner& owner_;
  host::Queue& queue_;
  uint16_t qid_;
  uint16_t entries_;
  size_t appetite_ = 0;
  size_t outstanding_ = 0;  // a pair is two
  std::vector<std::unique_ptr<IoCommand>> commands_;
  std::vector<IoCommand*> free_;
};

}  // namespace weft::sim
