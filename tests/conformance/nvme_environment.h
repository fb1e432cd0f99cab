// The NVMe driver over the simulated controller, for the block device suites. Ios run on the test's reactor, the controller on one of its own.
#pragma once
#include "bdev/nvme/nvme_device.h"
#include "sim/nvme_function.h"
#include "tests/conformance/bdev_conformance.h"

namespace weft::conformance {

class NvmeEnvironment final : public Environment {
 public:
  NvmeEnvironment(const sim::NvmeShape& shape, const sim::DiskOptions& options)
      : shape_(shape), disk_({agenda_, referee_, trace_}, {.name = "nvm", .size_bytes = kSizeBytes}, Prng{1}, options) {}
  ~NvmeEnvironment() override {
    EXPECT_FALSE(referee_.finding().has_value()) << referee_.finding()->what;
    EXPECT_EQ(disk_.outstanding(), 0u);
  }
  void begin(Reactor& reactor) override { reactor_ = &reactor; }
  Result<std::unique_ptr<bdev::Bdev>> make_device(uint32_t block_size) override {
    device_ = std::make_unique<sim::NvmeDevice>(
        sim::Disk::World{agenda_, referee_, trace_}, shape_,
        std::vector<sim::NvmeNamespace>{{.disk = &disk_, .block_count = kSizeBytes / block_size, .block_size = block_size}}, Prng{2});
    function_ = std::make_unique<sim::NvmeFunction>(*device_, Prng{3});
    controller_ = std::make_unique<nvme::Controller>(home_, *function_, nvme::ControllerOptions{.io_entries = 64});
    std::optional<Result<void>> started;
    controller_->start([&](Result<void> result) { started = result; });
    while (!started) let_time_pass();
    if (!*started) return std::unexpected(started->error());
    place_ = std::make_unique<bdev::NvmeDevice>(home_, std::array{reactor_}, "nvme", [] {});
    started.reset();
    place_->use(*controller_, [&](Result<void> result) { started = result; });
    while (!started) turn();
    if (!*started) return std::unexpected(started->error());
    auto made = place_->make(1);
    turn();
    return made;
  }
  void let_time_pass() override {
    clock_.advance(milliseconds(1));
    agenda_.run_until(agenda_.now() + milliseconds(1));
    home_.run_once();
  }
  void end(Reactor&) override {
    bool is_stopped = false;
    place_->leave([&] { controller_->stop([&] { is_stopped = true; }); });
    while (!is_stopped) turn();
    place_.reset();
    controller_.reset();
    function_.reset();
  }

 private:
  void turn() {
    let_time_pass();
    reactor_->run_once();
  }

  Reactor* reactor_ = nullptr;
  testing_support::ManualClock clock_;
  testing_support::NullSink sink_;
  Reactor home_{{}, clock_, sink_};
  sim::Agenda agenda_{1};
  sim::Referee referee_;
  sim::Trace trace_{sim::Trace::Print::kNo};
  sim::NvmeShape shape_;
  sim::Disk disk_;
  std::unique_ptr<sim::NvmeDevice> device_;
  std::unique_ptr<sim::NvmeFunction> function_;
  std::unique_ptr<nvme::Controller> controller_;
  std::unique_ptr<bdev::NvmeDevice> place_;
};

}  // namespace weft::conformance
