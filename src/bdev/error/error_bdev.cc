#include "bdev/error/error_bdev.h"

#include <cerrno>

#include "bdev/media_status.h"

namespace weft::bdev {
namespace {

bool touches(const BlockRange& range, const Io& io) {
  if (io.op == Op::kFlush) return true;
  return io.block < range.block + range.block_count && range.block < io.block + io.block_count;
}

class ErrorBdev final : public Bdev {
 public:
  ErrorBdev(std::unique_ptr<Bdev> below, const ErrorRule& rule) : below_(std::move(below)), rule_(rule) {}
  const Info& info() const override { return below_->info(); }
  Result<uint64_t> blocks_available() override { return below_->blocks_available(); }
  void read_log(nvme::LogPage page, LogDone done) override { below_->read_log(page, std::move(done)); }
  void watch(std::move_only_function<void()> on_change) override { below_->watch(std::move(on_change)); }
  Result<std::unique_ptr<Channel>> open_channel(Reactor& reactor) override {
    auto channel = below_->open_channel(reactor);
    if (!channel) return channel;
    return std::make_unique<ErrorChannel>(std::move(*channel), rule_);
  }

 private:
  std::unique_ptr<Bdev> below_;
  ErrorRule rule_;
};

}  // namespace

void ErrorChannel::submit(Io& io) {
  if (!is_hit(io)) return below_->submit(io);
  switch (rule_.effect) {
    case ErrorEffect::kFail: return fail(io);
    case ErrorEffect::kHang: return hanging_.push_back(io);
  }
}

/// A lent read never comes by here, so where a read may be hit nothing is lent.
std::span<const std::byte> ErrorChannel::lend(uint64_t block, uint64_t block_count) {
  return matches(rule_.op, Op::kRead) ? std::span<const std::byte>{} : below_->lend(block, block_count);
}

/// Likewise of writes.
bool ErrorChannel::store(uint64_t block, std::span<const std::byte> data) {
  return !matches(rule_.op, Op::kWrite) && below_->store(block, data);
}

void ErrorChannel::release() {
  IntrusiveList<Io, &Io::link> released;  // a submitter may submit again, and hang again
  while (Io* io = hanging_.pop_front()) released.push_back(*io);
  while (Io* io = released.pop_front()) fail(*io);
}

bool ErrorChannel::is_hit(const Io& io) {
  if (!matches(rule_.op, io.op)) return false;
  if (rule_.range && !touches(*rule_.range, io)) return false;
  const uint64_t number = matched_++;
  if (number < rule_.skip) return false;
  return !rule_.times || number - rule_.skip < *rule_.times;
}

void ErrorChannel::fail(Io& io) const { io.done(rule_.status.value_or(status_of_errno(io.op, EIO, MediumState::kThere))); }

std::unique_ptr<Bdev> make_error(std::unique_ptr<Bdev> below, const ErrorRule& rule) {
  return std::make_unique<ErrorBdev>(std::move(below), rule);
}

}  // namespace weft::bdev
