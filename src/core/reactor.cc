#include "core/reactor.h"

#include "base/simulation.h"

namespace weft {

Reactor::Reactor(const Options& options, Clock& clock, LogSink& sink)
    : options_(options), clock_(clock), log_(sink), now_(clock.now()), last_work_(now_), timers_(now_) {}

Reactor::~Reactor() {
  // Closures that nobody will run any more are still owned by the mailbox. They are delivered, not dropped: what they carry must reach its end.
  while (Message* message = mailbox_.take()) message->deliver();
}

void Reactor::post(Message& message) {
  mailbox_.post(message);
  // seq_cst pairs with fall_asleep(): either the reactor sees the message before it sleeps, or we see that it sleeps.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (is_sleeping_.load(std::memory_order_relaxed) && !WEFT_PLANTED("wake-up-lost")) clock_.wake();
}

Reactor::Turn Reactor::run_once() {
  if (thread_ == nullptr) thread_ = this_thread();
  assert_here();
  now_ = clock_.now();
  size_t work = 0;
  while (Message* message = mailbox_.take()) {
    message->deliver();
    ++work;
  }
  // Before the timers: after a stall, what has come in the meantime is not late.
  pollers_.for_each([&](Poller& poller) { work += poller.poll(); });
  work += timers_.advance(now_);
  pollers_.for_each([&](Poller& poller) { work += poller.flush(); });
  if (work == 0) return Turn::kIdle;
  last_work_ = now_;
  return Turn::kWorked;
}

void Reactor::run() {
  while (!is_stopping_.load(std::memory_order_acquire)) {
    if (run_once() == Turn::kWorked) {
      busy_ns_ += uint64_t((clock_.now() - now_).ns);
      ++busy_cycles_;
    } else if (options_.poll == PollMode::kAdaptive && now_ - last_work_ >= options_.spin) {
      if (const auto deadline = fall_asleep()) {
        clock_.wait(*deadline);
        wake_up();
      }
    }
  }
  thread_ = {};  // whoever tidies up turns it on another thread
}

std::optional<Instant> Reactor::fall_asleep() {
  bool is_quiet = true;
  pollers_.for_each([&](Poller& poller) { is_quiet = poller.prepare_sleep() && is_quiet; });
  if (!is_quiet) return std::nullopt;
  is_sleeping_.store(true, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // see post()
  if (mailbox_.empty() && !is_stopping_.load(std::memory_order_acquire)) return timers_.next_deadline();
  WEFT_PROBE("core/message-before-sleep");
  wake_up();
  return std::nullopt;
}

void Reactor::wake_up() { is_sleeping_.store(false, std::memory_order_relaxed); }

void Reactor::stop() {
  is_stopping_.store(true, std::memory_order_release);
  clock_.wake();
}

}  // namespace weft
