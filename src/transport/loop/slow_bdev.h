// A device that keeps every Io until the test lets it go, and what it keeps, which outlives it. Not part of any library.
#pragma once
#include <utility>
#include <vector>

#include "bdev/bdev.h"

namespace weft::loop {

struct HeldIos {
  void finish_all(nvme::Status with = nvme::status::kSuccess) {
    for (bdev::Io* io : std::exchange(ios, {})) io->done(with);
  }
  std::vector<bdev::Io*> ios;
  bool takes_all = false;  // Compare, Verify and Copy, too
};

class SlowBdev final : public bdev::Bdev {
 public:
  explicit SlowBdev(HeldIos& held) : held_(held) {
    info_.name = "slow";
    info_.block_count = 2048;
    info_.block_size = 512;
    info_.has_volatile_cache = true;
  }
  const bdev::Info& info() const override { return info_; }
  Result<std::unique_ptr<bdev::Channel>> open_channel(Reactor&) override { return std::make_unique<SlowChannel>(held_); }

 private:
  struct SlowChannel final : bdev::Channel {
    explicit SlowChannel(HeldIos& h) : held(h) {}
    void submit(bdev::Io& io) override { held.ios.push_back(&io); }
    bool takes(bdev::Op op) const override { return held.takes_all || Channel::takes(op); }
    HeldIos& held;
  };
  HeldIos& held_;
  bdev::Info info_;
};

}  // namespace weft::loop
