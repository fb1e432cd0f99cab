// NVMe devices that VFIO has: those that WEFT_NVME_DEVICES names by their addresses (real_devices.h). The controller lives on a reactor of its own, with a
// thread; Ios run on the test's reactor.
#pragma once
#include "platform/linux/ask_reactor.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/memory.h"
#include "platform/linux/nvme_engine.h"
#include "tests/conformance/real_devices.h"

#include <chrono>
#include <future>
#include <optional>
#include <thread>

namespace weft::conformance {

class VfioEnvironment final : public Environment {
  /// f waits for reactors, of which the test's thread turns one.
  template <typename F>
  auto meanwhile(F f) {
    auto result = std::async(std::launch::async, std::move(f));
    while (result.wait_for(std::chrono::seconds(0)) != std::future_status::ready) reactor_->run_once();
    reactor_->run_once();  // the last message
    return result.get();
  }

 public:
  explicit VfioEnvironment(std::string address) : address_(std::move(address)) {}
  ~VfioEnvironment() override {
    home_.stop();
    thread_.join();
    home_.remove(*home_loop_);
  }
  void begin(Reactor& reactor) override {
    reactor_ = &reactor;
    engine_.emplace(std::vector<platform::VfioFunction::Room>{{home_, *home_loop_}, {reactor, *loop_}}, memory_, std::vector<std::span<std::byte>>{}, log_);
  }
  Result<std::unique_ptr<bdev::Bdev>> make_device(uint32_t) override {
    auto device = meanwhile([&] { return engine_->make_device({.address = address_}); });
    if (!device) return device;
    const auto zeroed = make_blank(**device, *reactor_);
    if (zeroed) return device;
    destroy(std::move(*device));
    return std::unexpected(zeroed.error());
  }
  /// A command of a real device must not be late because a test is quick.
  Duration cycle_time() const override { return {}; }
  uint64_t size_bytes() const override { return real_device_bytes(); }
  void destroy(std::unique_ptr<bdev::Bdev> device) override {
    meanwhile([&] {
      platform::ask<void>(home_, [&device](platform::Answer<void> gone) {
        device.reset();
        gone->set_value();
      });
      return true;
    });
  }
  void end(Reactor&) override {
    EXPECT_TRUE(meanwhile([&] { return engine_->stop(); }));
    engine_.reset();
  }

 private:
  std::string address_;
  testing_support::NullSink sink_;
  Log log_{sink_};
  platform::MmapMemory memory_{platform::HugePages::kReservedOrLater};
  std::unique_ptr<platform::EventLoop> home_loop_ = std::move(*platform::EventLoop::create());
  std::unique_ptr<platform::EventLoop> loop_ = std::move(*platform::EventLoop::create());  // of the test's reactor, which does not sleep
  Reactor home_{{}, *home_loop_, sink_};
  Reactor* reactor_ = nullptr;
  std::optional<platform::NvmeEngine> engine_;
  std::thread thread_{[this] {
    home_.add(*home_loop_);
    home_.run();
  }};
};

}  // namespace weft::conformance
