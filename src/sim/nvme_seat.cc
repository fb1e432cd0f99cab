#include "sim/nvme_seat.h"

#include <utility>

namespace weft::sim {

NvmeSeat::NvmeSeat(NvmeDevice& hardware, const Options& options)
    : hardware_(hardware),
      home_(*options.reactors.front()),
      pools_(options.pools.begin(), options.pools.end()),
      random_(options.seed),
      place_(home_, options.reactors, hardware.shape().name, [this] { is_lost_ = true; }) {}

void NvmeSeat::open(Opened opened) {
  if (is_used_ && !is_lost_) return make(std::move(opened));
  let_go([this, opened = std::move(opened)]() mutable { bring_up(std::move(opened)); });
}

void NvmeSeat::close(std::move_only_function<void()> closed) { let_go(std::move(closed)); }

void NvmeSeat::let_go(std::move_only_function<void()> then) {
  if (controller_ == nullptr) return then();
  auto stop = [this, then = std::move(then)]() mutable {
    is_used_ = false;
    controller_->stop([this, then = std::move(then)]() mutable {
      home_.post([this, then = std::move(then)]() mutable {  // not from inside the controller
        controller_.reset();
        function_.reset();
        then();
      });
    });
  };
  if (!is_used_) return stop();
  place_.leave(std::move(stop));
}

void NvmeSeat::bring_up(Opened opened) {
  is_lost_ = false;
  function_ = std::make_unique<NvmeFunction>(hardware_, Prng{random_.next()});
  for (const auto pool : pools_) function_->map_data(pool);
  controller_ = std::make_unique<nvme::Controller>(home_, *function_, nvme::ControllerOptions{.io_entries = 16, .command_time = seconds(2), .look_time = milliseconds(100)});
  controller_->start([this, opened = std::move(opened)](Result<void> started) mutable {
    if (!started) return opened(std::unexpected(started.error()));
    is_used_ = true;
    place_.use(*controller_, [this, opened = std::move(opened)](Result<void> used) mutable {
      if (!used) return opened(std::unexpected(used.error()));
      make(std::move(opened));
    });
  });
}

void NvmeSeat::die() {
  if (function_ != nullptr) hardware_.detach();
}

}  // namespace weft::sim
