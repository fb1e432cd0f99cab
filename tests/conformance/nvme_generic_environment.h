// Namespaces by their character devices, sent NVMe commands by io_uring: those that WEFT_NVME_GENERIC names (real_devices.h).
#pragma once
#include "platform/linux/memory.h"
#include "platform/linux/open_device.h"
#include "tests/conformance/real_devices.h"

namespace weft::conformance {

class NvmeGenericEnvironment final : public Environment {
 public:
  explicit NvmeGenericEnvironment(std::string path) : path_(std::move(path)) {}
  void begin(Reactor& reactor) override { reactor_ = &reactor; }
  Result<std::unique_ptr<bdev::Bdev>> make_device(uint32_t) override {
    auto device = platform::open_device({.kind = platform::DeviceKind::kDisk, .name = path_, .path = path_, .filters = {}}, {engine_, no_nvme_, memory_, log_});
    if (!device) return device;
    if (auto blank = make_blank(**device, *reactor_); !blank) return std::unexpected(blank.error());
    return device;
  }
  uint64_t size_bytes() const override { return real_device_bytes(); }

 private:
  static constexpr platform::EventLoop* kNoLoop[] = {nullptr};
  std::string path_;
  Reactor* reactor_ = nullptr;
  testing_support::NullSink sink_;
  Log log_{sink_};
  platform::MmapMemory memory_{platform::HugePages::kReservedOrLater};
  platform::MediaEngine engine_{platform::MediaChoice::kUringIfPossible, kNoLoop, log_};
  platform::NvmeEngine no_nvme_{{}, memory_, {}, log_};
};

}  // namespace weft::conformance
