#include "host/keep_alive.h"

#include <fmt/format.h>

#include "base/simulation.h"
#include "wire/print.h"

namespace weft::host {

KeepAlive::KeepAlive(Reactor& reactor, Queue& admin, Duration kato) : reactor_(reactor), admin_(admin), interval_(kato / 2) {
  WEFT_ASSERT(interval_ > Duration{});
  sqe.opcode = uint8_t(nvme::AdminOpcode::kKeepAlive);
  reactor_.arm(timer_, interval_);
}

void KeepAlive::on_timer() {
  if (is_outstanding_) {
    WEFT_PROBE("host/keep-alive-unanswered");
    admin_.close(Error{Errc::kTimedOut, fmt::format("no answer to Keep Alive within {} ms", interval_.milliseconds())});
    return;
  }
  reactor_.arm(timer_, interval_);
  if (!admin_.has_room()) return;  // full of commands that keep the association alive just as well, or closed
  is_outstanding_ = true;
  admin_.submit(*this);
}

void KeepAlive::on_completed(const nvme::Cqe& cqe) {
  is_outstanding_ = false;
  const nvme::Status status = cqe.decoded_status();
  if (!status.ok() && !status.is(nvme::status::kAbortedByHost)) {
    admin_.close(Error{Errc::kIo, fmt::format("Keep Alive failed: {}", nvme::to_text(status))});
  }
}

}  // namespace weft::host
