// Log pages that others ask for, read by the controller's coroutine one after the other.
#include <utility>

#include "nvme/controller.h"

namespace weft::nvme {
namespace {

constexpr size_t kLogReadsMax = 32;  // that wait; every one of a host's admin queue may be one

}  // namespace

void Controller::read_log(const LogRequest& request, LogDone done) {
  WEFT_ASSERT(request.bytes > 0 && request.bytes % 4 == 0 && request.bytes <= kLogBytesMax);
  if (wants_stop_ || state_ == State::kFailed || state_ == State::kStopped) return done(fail(Errc::kClosed, "the controller is not there any more"));
  if (log_reads_.size() == kLogReadsMax) return done(fail(Errc::kLimit, "too many log pages are asked for"));
  log_reads_.push_back({request, std::move(done)});
  work_.set();
}

Task<Controller::Done> Controller::read_next_log() {
  LogRead read = std::move(log_reads_.front());
  log_reads_.pop_front();
  Result<uint32_t> got = co_await get_log_page(read.request);
  if (got) {
    const auto page = identify_page_.bytes().first(read.request.bytes);
    read.done(std::vector<std::byte>(page.begin(), page.end()));
    co_return Done{};
  }
  read.done(std::unexpected(got.error()));
  if (got.error().code == Errc::kIo) co_return Done{};  // an answer
  co_return std::unexpected(got.error());
}

/// Leaves it in the page.
Task<Result<uint32_t>> Controller::get_log_page(LogRequest request) {
  Sqe sqe{};
  sqe.opcode = uint8_t(AdminOpcode::kGetLogPage);
  sqe.nsid = request.nsid;
  set_prps(sqe, {.prp1 = identify_page_.iova(), .prp2 = 0});
  sqe.cdw10 = (request.bytes / 4 - 1) << 16 | uint32_t(request.page);
  co_return co_await run_admin(sqe);
}

void Controller::end_log_reads() {
  for (LogRead& read : std::exchange(log_reads_, {})) read.done(fail(Errc::kClosed, "the controller is not there any more"));
}

}  // namespace weft::nvme
