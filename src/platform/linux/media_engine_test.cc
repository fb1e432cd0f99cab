// The real mediums under a reactor that really sleeps: completions must wake it.
#include "platform/linux/media_engine.h"

#include <gtest/gtest.h>

#include <thread>

#include "bdev/test_support.h"
#include "core/test_support.h"
#include "platform/linux/open_device.h"
#include "platform/linux/temporary_directory.h"

namespace weft::platform {
namespace {

using bdev::Op;
using namespace bdev::testing_support;

/// Writes, then syncs, then writes again, …, each from the completion of the one before, so that the reactor sleeps in between.
struct Chain : bdev::Io {
  Reactor& reactor;
  bdev::Channel& channel;
  int left = 200;
  Chain(Reactor& r, bdev::Channel& c, std::span<std::byte> bytes) : reactor(r), channel(c) {
    op = Op::kWrite;
    block_count = 8;
    data = bytes;
    on_done = [](Io& io, nvme::Status status) { static_cast<Chain&>(io).go_on(status); };
  }
  void go_on(nvme::Status status) {
    EXPECT_TRUE(status.ok());
    if (--left == 0) return reactor.stop();
    op = left % 20 == 0 ? Op::kFlush : left % 2 == 0 ? Op::kWrite : Op::kRead;
    block = uint64_t(left) * 8;
    channel.submit(*this);
  }
};

class MediaEngineTest : public ::testing::TestWithParam<MediaChoice> {};

TEST_P(MediaEngineTest, CompletionsWakeASleepingReactor) {
  testing_support::HeapMemory memory;
  testing_support::KeepingSink sink;
  Log log{sink};
  TemporaryDirectory directory;
  auto loop = std::move(EventLoop::create().value());
  Reactor reactor{{.spin = Duration{0}}, *loop, sink};
  EventLoop* const loops[] = {loop.get()};
  MediaEngine engine{GetParam(), loops, log};
  NvmeEngine no_nvme{{}, memory, {}, log};
  DeviceRequest request{.kind = DeviceKind::kFile, .name = "file", .path = directory.path("disk"), .size_bytes = 16 << 20};
  auto device = open_device(request, {engine, no_nvme, memory, log});
  ASSERT_TRUE(device.has_value()) << device.error().what();
  AlignedBytes data{8 * 512};
  std::thread thread{[&] {
    reactor.add(*loop);
    auto channel = std::move((*device)->open_channel(reactor).value());
    Chain chain{reactor, *channel, data.bytes()};
    channel->submit(chain);
    reactor.run();
    EXPECT_EQ(chain.left, 0);
  }};
  thread.join();
  reactor.remove(*loop);
  ASSERT_EQ(sink.lines.size(), 2u);  // which engine, and how the file was opened
  EXPECT_NE(sink.lines[0].find("files and disks: "), std::string::npos);
}

TEST(MediaEngine, NvmeCommandsAreRefusedWhereThereIsNoRingForThem) {
  testing_support::HeapMemory memory;
  testing_support::NullSink sink;
  Log log{sink};
  EventLoop* const loops[] = {nullptr};
  MediaEngine engine{MediaChoice::kThreads, loops, log};
  OpenNvmeGeneric opened;
  opened.info.name = "/dev/ng0n1";
  const auto device = engine.make_device(std::move(opened), memory);
  ASSERT_FALSE(device.has_value());
  EXPECT_EQ(device.error().code, Errc::kUnsupported);
  EXPECT_EQ(device.error().what(), "/dev/ng0n1: NVMe commands go by io_uring, and this process does without; the block device beside it needs none");
}

INSTANTIATE_TEST_SUITE_P(Engines, MediaEngineTest, ::testing::Values(MediaChoice::kUringIfPossible, MediaChoice::kThreads),
                         [](const auto& test) { return test.param == MediaChoice::kThreads ? "Threads" : "Uring"; });

}  // namespace
}  // namespace weft::platform
