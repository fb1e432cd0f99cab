#include "bdev/delay/delay_bdev.h"

#include <new>

#include "core/reactor.h"

namespace weft::bdev {
namespace {

struct DelayState {
  Instant due;
};

DelayState& state_of(Io& io) { return *std::launder(reinterpret_cast<DelayState*>(io.scratch)); }

class DelayChannel final : public Channel {
 public:
  DelayChannel(Reactor& reactor, std::unique_ptr<Channel> below, const DelayRule& rule)
      : reactor_(reactor), below_(std::move(below)), rule_(rule) {}
  ~DelayChannel() override {
    WEFT_ASSERT(delayed_.empty());
    reactor_.disarm(timer_);
  }

  void submit(Io& io) override {
    if (!matches(rule_.op, io.op)) return below_->submit(io);
    new (io.scratch) DelayState{reactor_.now() + rule_.delay};
    delayed_.push_back(io);
    if (!timer_.is_armed()) reactor_.arm(timer_, rule_.delay);
  }
  std::span<const std::byte> lend(uint64_t block, uint64_t block_count) override {
    return matches(rule_.op, Op::kRead) ? std::span<const std::byte>{} : below_->lend(block, block_count);
  }
  bool store(uint64_t block, std::span<const std::byte> data) override {
    return !matches(rule_.op, Op::kWrite) && below_->store(block, data);
  }

 private:
  /// All wait equally long, so the oldest is due first.
  void on_due() {
    while (Io* io = delayed_.front()) {
      const Instant due = state_of(*io).due;
      if (due > reactor_.now()) return reactor_.arm_at(timer_, due);
      io->link.unlink();
      below_->submit(*io);  // from here on scratch and link are the lower device's
    }
  }

  Reactor& reactor_;
  std::unique_ptr<Channel> below_;
  DelayRule rule_;
  IntrusiveList<Io, &Io::link> delayed_;
  Timer timer_ = Timer::calling<&DelayChannel::on_due>(this);
};

class DelayBdev final : public Bdev {
 public:
  DelayBdev(std::unique_ptr<Bdev> below, const DelayRule& rule) : below_(std::move(below)), rule_(rule) {}
  const Info& info() const override { return below_->info(); }
  Result<uint64_t> blocks_available() override { return below_->blocks_available(); }
  void read_log(nvme::LogPage page, LogDone done) override { below_->read_log(page, std::move(done)); }
  void watch(std::move_only_function<void()> on_change) override { below_->watch(std::move(on_change)); }
  Result<std::unique_ptr<Channel>> open_channel(Reactor& reactor) override {
    auto channel = below_->open_channel(reactor);
    if (!channel) return channel;
    return std::make_unique<DelayChannel>(reactor, std::move(*channel), rule_);
  }

 private:
  std::unique_ptr<Bdev> below_;
  DelayRule rule_;
};

}  // namespace

std::unique_ptr<Bdev> make_delay(std::unique_ptr<Bdev> below, const DelayRule& rule) {
  return std::make_unique<DelayBdev>(std::move(below), rule);
}

}  // namespace weft::bdev
