// The clock suite on the clock that ships.
#include "tests/conformance/clock_conformance.h"

#include "platform/linux/event_loop.h"

#include <thread>
#include <vector>

namespace weft::conformance {
namespace {

class EventLoopWorld {
 public:
  Clock& clock() { return *loop_; }
  void poll() { loop_->poll(); }
  void wake_soon() {
    threads_.emplace_back([this] { loop_->wake(); });
  }

 private:
  std::unique_ptr<platform::EventLoop> loop_ = std::move(*platform::EventLoop::create());
  std::vector<std::jthread> threads_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(EventLoop, ClockConformance, EventLoopWorld);

}  // namespace
}  // namespace weft::conformance
