// A device changes its size by itself, or is away for a while, and the target tells its hosts.
#include <gtest/gtest.h>

#include <array>

#include "nvmf/log_pages.h"
#include "transport/loop/loop_host.h"
#include "wire/nvme/features.h"
#include "wire/nvme/identify.h"

namespace weft::loop {
namespace {

namespace status = nvme::status;
using nvme::AdminOpcode;
using nvme::IoOpcode;

/// A RAM disk of 4096 blocks of which only so many are there.
class ChangingDisk final : public bdev::Bdev {
 public:
  struct Now {
    Result<uint64_t> blocks = 2048;
    Result<std::vector<std::byte>> log = fail(Errc::kIo, "none");
    std::move_only_function<void()> on_change;
  };
  ChangingDisk(MemorySource& memory, Now& now)
      : ram_(std::move(*bdev::make_ram(memory, "ram", {.block_count = 2048, .blocks_available = 4096, .block_size = 512}))), now_(now), info_(ram_->info()) {
    info_.has_logs = true;
  }
  const bdev::Info& info() const override { return info_; }
  Result<uint64_t> blocks_available() override { return now_.blocks; }
  void watch(std::move_only_function<void()> on_change) override { now_.on_change = std::move(on_change); }
  void read_log(nvme::LogPage, bdev::LogDone done) override { done(now_.log); }
  Result<std::unique_ptr<bdev::Channel>> open_channel(Reactor& reactor) override { return ram_->open_channel(reactor); }

 private:
  std::unique_ptr<bdev::Bdev> ram_;
  Now& now_;
  bdev::Info info_;
};

struct DeviceChange : testing::Test {
  DeviceChange() {
    target.add(1, std::make_unique<ChangingDisk>(target.memory, disk));
    const uint16_t cntlid = admin.connect_and_enable({});
    EXPECT_TRUE(io.connect({.cntlid = cntlid, .qid = 1}).decoded_status().ok());
    nvme::Sqe config{};
    config.opcode = uint8_t(AdminOpcode::kSetFeatures);
    config.cdw10 = uint32_t(nvme::Feature::kAsyncEventConfig);
    config.cdw11 = nvme::kOaesNamespaceAttribute;
    EXPECT_TRUE(admin.status({.sqe = config}).ok());
    nvme::Sqe request{};
    request.opcode = uint8_t(AdminOpcode::kAsyncEventRequest);
    admin.start({.sqe = request}, told);
  }
  void change(Result<uint64_t> blocks) {
    disk.blocks = std::move(blocks);
    disk.on_change();
    target.pass(milliseconds(5));
  }
  uint64_t size() {
    nvme::IdentifyNamespace page{};
    nvme::Sqe sqe{};
    sqe.opcode = uint8_t(AdminOpcode::kIdentify);
    sqe.nsid = 1;
    EXPECT_TRUE(admin.status({.sqe = sqe, .to_host = std::as_writable_bytes(std::span(&page, 1))}).ok());
    return page.nsze;
  }
  nvme::Status log_status(nvme::LogPage page, uint32_t nsid, std::span<std::byte> into = {}) {
    std::array<std::byte, 64> somewhere;
    const std::span<std::byte> room = into.empty() ? std::span<std::byte>(somewhere) : into;
    nvme::Sqe sqe{};
    sqe.opcode = uint8_t(AdminOpcode::kGetLogPage);
    sqe.nsid = nsid;
    sqe.cdw10 = uint32_t(room.size() / 4 - 1) << 16 | uint32_t(page);
    return admin.status({.sqe = sqe, .to_host = room});
  }
  template <typename T>
  T get_log(nvme::LogPage page, uint32_t nsid) {
    T log{};
    EXPECT_TRUE(log_status(page, nsid, std::as_writable_bytes(std::span(&log, 1))).ok());
    return log;
  }
  nvme::Status write(uint64_t slba) {
    static const std::vector<std::byte> data(512, std::byte{7});
    return io.status({.sqe = io_sqe(IoOpcode::kWrite, slba, 1, 1), .from_host = data});
  }

  ChangingDisk::Now disk;
  TestTarget target;
  TestQueue admin{target};
  TestQueue io{target};
  std::optional<nvme::Cqe> told;
};

TEST_F(DeviceChange, ItsNamespaceGrowsWithItAndTheHostsHearOfIt) {
  EXPECT_TRUE(write(3000).is(status::kLbaOutOfRange));
  change(4096);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(nvme::AsyncEvent::from_dw0(told->dw0), nvme::kNamespaceAttributeChanged);
  EXPECT_EQ(size(), 4096u);
  EXPECT_TRUE(write(3000).ok());
}

TEST_F(DeviceChange, ItsNamespaceShrinksWithItAndRefusesWhatIsBeyondTheEnd) {
  change(1000);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(size(), 1000u);
  EXPECT_TRUE(write(999).ok());
  EXPECT_TRUE(write(1000).is(status::kLbaOutOfRange));
}

TEST_F(DeviceChange, ANamespaceThatWasMadeSmallerStaysSoUntilTheDeviceHasLess) {
  std::optional<Result<void>> done;
  target.target().resize_namespace(target.subsystem(), 1, 1500, [&](Result<void> result) { done = result; });
  target.until([&] { return done.has_value(); });
  change(4096);
  EXPECT_EQ(size(), 1500u);
  change(1000);
  EXPECT_EQ(size(), 1000u);
}

TEST_F(DeviceChange, ANamespaceWhoseDeviceIsAwayIsHiddenUntilItIsBack) {
  change(fail(Errc::kNotFound, "the device is gone"));
  EXPECT_TRUE(told.has_value());
  EXPECT_EQ(size(), 0u);
  EXPECT_TRUE(write(0).is(status::kInvalidNamespace));
  change(2048);
  EXPECT_EQ(size(), 2048u);
  EXPECT_TRUE(write(0).ok());
}

TEST_F(DeviceChange, WhatAFailedFlushHasLostIsNoNewsAfterTheDeviceWasAway) {
  target.subsystem().namespaces().at(1)->fail();
  EXPECT_TRUE(write(0).is(status::kInternalError));
  change(fail(Errc::kNotFound, "the device is gone"));
  change(2048);
  EXPECT_TRUE(write(0).ok());
}

TEST_F(DeviceChange, ANamespaceWhoseDeviceIsAwayCanBeRemoved) {
  change(fail(Errc::kNotFound, "the device is gone"));
  std::optional<Result<void>> done;
  target.target().remove_namespace(target.subsystem(), 1, [&](Result<void> result) { done = result; });
  target.until([&] { return done.has_value(); });
  EXPECT_TRUE(done->has_value());
  EXPECT_TRUE(target.subsystem().namespaces().empty());
}

template <typename T>
std::vector<std::byte> bytes_from(const T& value) {
  const auto bytes = bytes_of(value);
  return {bytes.begin(), bytes.end()};
}

TEST_F(DeviceChange, TheHealthOfADeviceIsThatOfItsNamespaceOnly) {
  nvme::SmartLog own{};
  own.composite_temperature = 333;
  disk.log = bytes_from(own);
  EXPECT_EQ(uint16_t{get_log<nvme::SmartLog>(nvme::LogPage::kSmart, 1).composite_temperature}, 333);
  EXPECT_EQ(uint16_t{get_log<nvme::SmartLog>(nvme::LogPage::kSmart, nvme::kNsidAll).composite_temperature}, nvmf::kCompositeTemperature);
  disk.log = fail(Errc::kTimedOut, "it does not answer");
  EXPECT_TRUE(log_status(nvme::LogPage::kSmart, 1).is(status::kInternalError));
  EXPECT_FALSE(log_status(nvme::LogPage::kSmart, 1).dnr());
}

TEST_F(DeviceChange, TheErrorsOfADeviceAreThoseOfItsNamespaceOnly) {
  nvme::ErrorLogEntry own{};
  own.error_count = 9;
  own.sqid = 4;
  own.cid = 77;
  own.lba = 1234;
  own.nsid = 3;  // the device's own number
  disk.log = bytes_from(own);
  using Log = std::array<nvme::ErrorLogEntry, 2>;
  const Log log = get_log<Log>(nvme::LogPage::kError, 1);
  EXPECT_EQ(uint64_t{log[0].error_count}, 9u);
  EXPECT_EQ(uint64_t{log[0].lba}, 1234u);
  EXPECT_EQ(uint32_t{log[0].nsid}, 1u);
  EXPECT_EQ(uint16_t{log[0].cid}, nvme::ErrorLogEntry::kNoCid);  // the command was the target's, not this host's
  EXPECT_EQ(uint64_t{log[1].error_count}, 0u);
  EXPECT_EQ(uint64_t{get_log<Log>(nvme::LogPage::kError, 0)[0].error_count}, 0u);
}

}  // namespace
}  // namespace weft::loop
