// What is to be done and in which order; recovery. The steps are in bring_up.cc and queues.cc.
#include "nvme/controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/simulation.h"
#include "wire/print.h"

namespace weft::nvme {
namespace {

constexpr int kAttemptsMax = 3;  // of bringing it up again before it has failed for good

}  // namespace

Controller::Controller(Reactor& home, pci::Function& function, const ControllerOptions& options)
    : home_(home), function_(function), options_(options) {}

Controller::~Controller() {
  WEFT_ASSERT(!running_ || state_ == State::kStopped);
  WEFT_ASSERT(queues_.empty());
}

void Controller::start(std::move_only_function<void(Result<void>)> on_started) {
  WEFT_ASSERT(state_ == State::kDown);
  state_ = State::kStarting;
  on_started_ = std::move(on_started);
  running_.emplace(run());
  running_->start([this] {
    auto tell = std::move(on_stopped_);
    tell();
  });
}

void Controller::stop(std::move_only_function<void()> on_stopped) {
  WEFT_ASSERT(running_ && !wants_stop_);
  on_stopped_ = std::move(on_stopped);
  wants_stop_ = true;
  work_.set();
}

Result<NamespaceFacts> Controller::find_namespace(uint32_t nsid) const {
  const auto found = std::ranges::find(namespaces_.usable, nsid, &NamespaceFacts::nsid);
  if (found != namespaces_.usable.end()) return *found;
  const auto refused = std::ranges::find(namespaces_.refused, nsid, &Refused::nsid);
  if (refused != namespaces_.refused.end()) return std::unexpected(refused->why);
  return fail(Errc::kNotFound, fmt::format("{}: there is no namespace {}", function_.name(), nsid));
}

Result<IoQueueHandle> Controller::open_queue(Reactor& reactor, IoQueueClient& client) {
  const auto vector = function_.open_vector(reactor);
  if (!vector) return std::unexpected(vector.error());
  auto queue = std::make_unique<IoQueue>(*this, reactor, client, function_, *vector, IoQueue::Timing{options_.command_time});
  IoQueueHandle handle{queue.get()};
  home_.post([this, asked = std::move(queue)]() mutable {
    queues_.push_back(std::move(asked));
    work_.set();
  });
  return handle;
}

void Controller::give_back(IoQueue& queue) {
  home_.post([this, &queue] {
    queue.notes.is_closing = true;
    work_.set();
  });
}

void Controller::report_late(IoQueue& queue, const QueuePair::Overdue& late) {
  home_.post([this, &queue, late] {
    if (!queue.notes.is_in_device) return;
    if (late.warnings == 0) {
      queue.notes.abort_cid = late.cid;
    } else {
      queue.notes.must_be_deleted = true;
    }
    look_at_device();  // a device that has failed answers nothing: no need to ask it for an abort
    work_.set();
  });
}

void Controller::report_broken(IoQueue& queue, const char* why) {
  home_.post([this, &queue, why] {
    if (queue.notes.is_in_device) want_reset(why);
  });
}

void Controller::look() {
  home_.post([this] { look_at_device(); });
}

void Controller::look_at_device() {
  if (state_ != State::kLive) return;
  const uint32_t csts = function_.read32(property::kCsts);
  if (csts == kAllOnes) {
    want_reset("the device is gone");
  } else if ((csts & Csts::kCfs) != 0) {
    want_reset("controller fatal status");
  } else if (admin_->broken() != nullptr) {
    want_reset(admin_->broken());
  } else if (!look_timer_.is_armed()) {
    home_.arm(look_timer_, options_.look_time);
  }
}

void Controller::want_reset(std::string_view why) {
  // During a recovery it is about a queue that is there again already; the recovery goes on, and the next one follows.
  if ((state_ != State::kLive && state_ != State::kRecovering) || wants_reset_) return;
  home_.log().warn("{}: {}: resetting the controller", function_.name(), why);
  wants_reset_ = true;
  if (state_ == State::kLive) admin_->interrupt();
  work_.set();
}

void Controller::on_event(uint32_t dw0) {
  const AsyncEvent event = AsyncEvent::from_dw0(dw0);
  if (event == kNamespaceAttributeChanged) {
    wants_namespaces_ = true;
    return work_.set();
  }
  home_.log().warn("{}: {}", function_.name(), to_text(event));
  if (event.type == AsyncEventType::kError && ErrorInfo(event.info) == ErrorInfo::kPersistentInternalError) want_reset("a persistent internal error");
}

Task<Controller::Done> Controller::run() {
  Done up = co_await bring_up();
  if (up) {
    state_ = State::kLive;
    look_at_device();
  } else {
    co_await fail_for_good(up.error());
  }
  auto tell = std::move(on_started_);
  tell(up);
  while (!wants_stop_ || !queues_.empty()) {
    Done done = co_await do_next();
    if (!done) want_reset(done.error().what());
  }
  end_log_reads();
  if (look_timer_.is_armed()) home_.disarm(look_timer_);
  if (state_ == State::kLive && !WEFT_PLANTED("nvme-shutdown-skipped")) {
    Done down = co_await shut_down();
    if (!down) {
      home_.log().warn("{}: {}", function_.name(), down.error().what());
      function_.isolate();
    }
  }
  co_await Elsewhere{home_, home_, [] {}};  // out of the admin queue, if it was what went on with this
  if (admin_) function_.close_vector(AdminQueue::kVector);
  admin_.reset();
  state_ = State::kStopped;
  co_return Done{};
}

/// The most urgent thing, or waits until there is one. An error means that the controller does not answer.
Task<Controller::Done> Controller::do_next() {
  using Notes = IoQueue::Notes;
  if (wants_reset_) co_return co_await recover();
  if (IoQueue* queue = find_queue([](const Notes& notes) { return notes.must_be_deleted; })) co_return co_await delete_and_renew(*queue);
  if (IoQueue* queue = find_queue([](const Notes& notes) { return notes.abort_cid.has_value(); })) co_return co_await abort(*queue);
  if (IoQueue* queue = find_queue([](const Notes& notes) { return notes.is_closing; })) co_return co_await destroy(*queue);
  if (IoQueue* queue = find_queue([](const Notes& notes) { return !notes.is_in_device && !notes.has_failed; })) co_return co_await open(*queue);
  if (std::exchange(wants_namespaces_, false) && state_ == State::kLive) co_return co_await namespaces_changed();
  if (!log_reads_.empty() && state_ == State::kLive) co_return co_await read_next_log();
  co_await work_;
  co_return Done{};
}

/// Stops the device from reaching our memory, tells everyone that what was outstanding has ended, and brings it up again, or gives it up.
Task<Controller::Done> Controller::recover() {
  WEFT_PROBE("nvme/controller-reset");
  wants_reset_ = false;
  state_ = State::kRecovering;
  counters_.resets.add(1);
  Done done = fail(Errc::kIo, "never tried");
  for (int attempt = 0; attempt < kAttemptsMax && !done; ++attempt) {
    co_await halt_queues();
    Done quiet = co_await disable();
    if (!quiet) function_.isolate();
    co_await end_queues();
    wants_reset_ = false;  // what was said of the queues as they were is dealt with
    done = co_await try_to_recover();
    if (!done) home_.log().warn("{}: {}", function_.name(), done.error().what());
    if (function_.read32(property::kCsts) == kAllOnes) break;  // gone: it will not come back under this name
  }
  if (!done) co_return co_await fail_for_good(done.error());
  state_ = State::kLive;
  look_at_device();
  tell_changed();
  co_return Done{};
}

Task<Controller::Done> Controller::try_to_recover() {
  Done up = co_await bring_up();
  if (!up) co_return up;
  for (size_t i = 0; i < queues_.size(); ++i) {
    IoQueue& queue = *queues_[i];
    if (queue.notes.qid == 0 || queue.notes.is_closing || queue.notes.has_failed) continue;
    Done made = co_await open(queue);
    if (!made) co_return made;
  }
  co_return Done{};
}

Task<Controller::Done> Controller::fail_for_good(Error why) {
  WEFT_PROBE("nvme/controller-failed");
  home_.log().error("{}: {}: the controller is given up", function_.name(), why.what());
  state_ = State::kFailed;
  wants_reset_ = false;
  function_.isolate();
  if (admin_) admin_->reset();
  for (size_t i = 0; i < queues_.size(); ++i) {
    if (!queues_[i]->notes.has_failed) co_await refuse(*queues_[i]);
  }
  end_log_reads();
  tell_changed();
  co_return Done{};
}

void Controller::tell_changed() {
  if (on_changed_) on_changed_();
}

}  // namespace weft::nvme
