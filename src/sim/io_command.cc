#include "sim/io_command.h"

#include "base/assert.h"
#include "wire/print.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::sim {
namespace {

namespace status = nvme::status;

constexpr std::byte kUntouched{0xd7};  // what read buffers hold before the answer

}  // namespace

void IoCommand::Half::on_completed(const nvme::Cqe& cqe) {
  status = cqe.decoded_status();
  is_answered = true;
  WEFT_ASSERT(whole_.left_ > 0);
  if (--whole_.left_ == 0) whole_.owner_.on_answered(whole_);
}

void IoCommand::start(DrawnCommand drawn, host::Queue& queue, Instant now) {
  WEFT_ASSERT(left_ == 0);
  drawn_ = std::move(drawn);
  submitted_ = now;
  if (drawn_.due) {
    drawn_.volume->mark(drawn_.access);
  } else {
    drawn_.volume->begin(drawn_.access);
  }
  first_.status = second_.status = {};
  first_.is_answered = second_.is_answered = false;
  first_.sqe = drawn_.first;
  fill();
  left_ = halves();
  queue.submit(first_);
  if (!drawn_.second) return;
  second_.sqe = *drawn_.second;
  queue.submit(second_);  // right behind the first, as fused commands must be
}

void IoCommand::fill() {
  const Volume& volume = *drawn_.volume;
  first_data_.assign(std::max(drawn_.in_bytes, drawn_.out_bytes), kUntouched);
  first_.in = std::span(first_data_).first(drawn_.in_bytes);
  first_.out = std::span(first_data_).first(drawn_.out_bytes);
  if (drawn_.out_bytes == 0) return;
  if (!drawn_.ranges.empty()) {
    std::ranges::copy(drawn_.ranges, first_data_.begin());
  } else if (drawn_.access.kind == AccessKind::kWrite) {
    volume.fill(drawn_.access, first_data_);
  } else {
    volume.fill(drawn_.access.expected, first_data_);
  }
  if (!drawn_.second) return;
  second_data_.resize(drawn_.out_bytes);
  volume.fill(drawn_.access, second_data_);
  second_.out = second_data_;
}

bool IoCommand::is_lost() const {
  return first_.status.is(status::kAbortedByHost) || (drawn_.second && second_.status.is(status::kAbortedByHost));
}

bool IoCommand::has_succeeded() const { return !drawn_.due && first_.status.ok() && second_.status.ok(); }

std::string IoCommand::judge(bool may_be_corrupted) {
  Access& access = drawn_.access;
  access.may_be_corrupted = may_be_corrupted;
  if (drawn_.due) {
    const nvme::Status got = first_.status;
    const bool is_right = got.is(*drawn_.due) && got.dnr();
    const bool is_excused = is_lost() || drawn_.volume->explains(access, got) || (access.may_be_aborted && got.is(status::kAbortRequested)) ||
                            (may_be_corrupted && got.is(status::kTransientTransportError));
    if (is_right || is_excused) return {};
    return fmt::format("a command that is wrong (opcode {:02x}h, NSID {}) was answered {} where {} is due", drawn_.first.opcode,
                       uint32_t{drawn_.first.nsid}, nvme::to_text(got), nvme::to_text(drawn_.due->with_dnr()));
  }
  if (is_lost()) {
    drawn_.volume->lost(access);
  } else if (drawn_.second) {
    drawn_.volume->pair_completed(access, first_.status, second_.status);
  } else {
    drawn_.volume->completed(access, first_.status, first_.in);
  }
  return {};
}

}  // namespace weft::sim
