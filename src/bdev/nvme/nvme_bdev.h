// A namespace of an NVMe device as a block device. It stays when the device goes, and goes on when the same namespace is back (nvme_device.h); between,
// its I/O ends at once with a path error. Made by NvmeDevice::make(), on whose home reactor everything but open_channel() happens.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "bdev/nvme/nvme_device.h"

namespace weft::bdev {

class NvmeBdev final : public Bdev {
 public:
  NvmeBdev(NvmeDevice& device, Info info, uint32_t nsid) : device_(device), info_(std::move(info)), nsid_(nsid) {}
  ~NvmeBdev() override;

  const Info& info() const override { return info_; }
  /// Errors: also kNotFound while the device or the namespace is away, and kUnsupported with what has come in its place.
  Result<uint64_t> blocks_available() override;
  void watch(std::move_only_function<void()> on_change) override { on_change_ = std::move(on_change); }
  void read_log(nvme::LogPage page, LogDone done) override;
  Result<std::unique_ptr<Channel>> open_channel(Reactor& reactor) override;

  // --- for NvmeDevice ----------------------------------------------------------------------------------------------------
  uint32_t nsid() const { return nsid_; }
  /// Whether `now` may go on where this one has stopped. Errors: kUnsupported with what is different.
  Result<void> compare(const Info& now) const;
  /// The device may have changed: tells whoever watches, and the log when it has come or gone.
  void look_again();

 private:
  NvmeDevice& device_;
  Info info_;
  uint32_t nsid_;
  std::string trouble_;  // why its I/O fails; empty: it does not
  std::move_only_function<void()> on_change_;
};

}  // namespace weft::bdev
