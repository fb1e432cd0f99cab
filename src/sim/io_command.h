// One outstanding I/O command of a Workload, or a fused pair of two, with its data: from being drawn to its last
// completion. Owned by its IoLane, which uses it again.
#pragma once
#include "base/time.h"
#include "host/queue.h"
#include "sim/command_source.h"

namespace weft::sim {

class IoCommand;

class IoCommandOwner {
 public:
  /// Every half has its completion.
  virtual void on_answered(IoCommand& command) = 0;

 protected:
  ~IoCommandOwner() = default;
};

class IoCommand {
 public:
  explicit IoCommand(IoCommandOwner& owner) : owner_(owner), first_(*this), second_(*this) {}
  IoCommand(const IoCommand&) = delete;
  IoCommand& operator=(const IoCommand&) = delete;

  /// Tells the volume, fills the data, submits. Requires: not outstanding; the queue has room for each half.
  void start(DrawnCommand drawn, host::Queue& queue, Instant now);
  /// Tells the volume what has come of it, or for a command that had to fail, returns what is wrong with its status.
  std::string judge(bool may_be_corrupted);

  bool is_outstanding() const { return left_ > 0; }
  size_t halves() const { return drawn_.second ? 2 : 1; }
  /// The connection ended before the last answer.
  bool is_lost() const;
  bool has_succeeded() const;
  Instant submitted() const { return submitted_; }
  const DrawnCommand& drawn() const { return drawn_; }
  nvme::Status status() const { return second_.status.ok() ? first_.status : second_.status; }
  uint16_t cid(size_t half) const { return half == 0 ? first_.sqe.cid : second_.sqe.cid; }
  /// `half` if it has no answer yet, else the other one, for the identifier of one that was answered is another command's by now.
  /// Requires: is_outstanding().
  size_t outstanding_half(size_t half) const { return (half == 0 ? first_ : second_).is_answered ? 1 - half : half; }
  void expect_abort() { drawn_.access.may_be_aborted = true; }

 private:
  class Half final : public host::Command {
   public:
    explicit Half(IoCommand& whole) : whole_(whole) {}
    void on_completed(const nvme::Cqe& cqe) override;
    nvme::Status status;
    bool is_answered = false;

   private:
    IoCommand& whole_;
  };
  void fill();

  IoCommandOwner& owner_;
  DrawnCommand drawn_;
  Half first_;
  Half second_;
  size_t left_ = 0;  // halves without an answer
  Instant submitted_{};
  std::vector<std::byte> first_data_;
  std::vector<std::byte> second_data_;
};

}  // namespace weft::sim
