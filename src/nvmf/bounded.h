// An answer that comes in time: whoever asked for something that may wait for a device is told after a while that it is not done yet; the work
// goes on. Belongs to the home reactor.
#pragma once
#include <functional>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/simulation.h"
#include "core/reactor.h"

namespace weft::nvmf {

using Done = std::move_only_function<void(Result<void>)>;

class Bounded {
 public:
  /// Calls `done` once: with what the result is called with, or after `patience` with kTimedOut and `why`, a static text. The result is to be
  /// called or destroyed on the same reactor.
  static Done within(Reactor& reactor, Duration patience, const char* why, Done done) {
    auto self = std::unique_ptr<Bounded>(new Bounded(reactor, why, std::move(done)));
    reactor.arm(self->timer_, patience);
    return [self = std::move(self)](Result<void> result) { self->answer(std::move(result)); };
  }
  ~Bounded() { reactor_.disarm(timer_); }

 private:
  Bounded(Reactor& reactor, const char* why, Done done) : reactor_(reactor), why_(why), done_(std::move(done)) {}
  void answer(Result<void> result) {
    if (done_) std::exchange(done_, {})(std::move(result));
  }
  void is_late() {
    WEFT_PROBE("nvmf/removal-is-late");
    answer(fail(Errc::kTimedOut, why_));
  }

  Reactor& reactor_;
  const char* why_;
  Done done_;
  Timer timer_ = Timer::calling<&Bounded::is_late>(this);
};

}  // namespace weft::nvmf
