// What the tests of the simulated disk share: a world with one disk and a reactor that uses it.
#pragma once
#include "core/test_support.h"
#include "sim/disk_medium.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace weft::sim::testing_support {

/// An operation with memory of its own that remembers how it ended.
struct TestOperation final : media::OperationOwner {
  TestOperation(media::Kind kind, uint64_t offset, uint32_t length, char fill = 0) : bytes(length, std::byte(fill)) {
    operation.owner = this;
    operation.kind = kind;
    operation.offset = offset;
    operation.length = length;
    operation.data = bytes.data();
  }
  void operation_done(media::Operation&, int32_t value) override {
    EXPECT_FALSE(result.has_value()) << "an operation ended twice";
    result = value;
  }

  std::vector<std::byte> bytes;
  media::Operation operation;
  std::optional<int32_t> result;
};

/// Counts the calls that would wake the reactor.
class WakeCounter final : public Clock {
 public:
  explicit WakeCounter(Agenda& agenda) : agenda_(agenda) {}
  Instant now() override { return agenda_.now(); }
  uint64_t wall_clock_ms() override { return 0; }
  void wait(Instant) override {}
  void wake() override { ++wakes; }
  int wakes = 0;

 private:
  Agenda& agenda_;
};

class DiskTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kBlock = 4096;

  ~DiskTest() override { forget_disk(); }
  /// With its process, and with what it still has on the agenda.
  void forget_disk() {
    if (disk_ != nullptr) disk_->process_died();
    while (agenda_.step()) {
    }
    queue_.reset();
    disk_.reset();
  }
  /// A new disk, opened.
  void make_disk(const DiskOptions& options = {}, const DiskShape& shape = {.name = "disk"}, uint64_t seed = 1) {
    forget_disk();
    disk_ = std::make_unique<Disk>(Disk::World{agenda_, referee_, trace_}, shape, Prng{seed}, options);
    open();
  }
  /// A process opens the disk.
  void open() {
    queue_.reset();
    queue_ = std::move(DiskMedium{*disk_}.open_queue(reactor_).value());
  }
  void submit(TestOperation& test) {
    queue_->submit(test.operation);
    reactor_.run_once();
  }
  /// Lets time pass until nothing more will happen, with the reactor awake.
  void settle() {
    do reactor_.run_once();
    while (agenda_.step());
    reactor_.run_once();
  }
  int32_t run(TestOperation& test) {
    submit(test);
    settle();
    return test.result.value_or(-12345);
  }
  int32_t run(media::Kind kind, uint64_t offset, uint32_t length, char fill = 0) {
    TestOperation test{kind, offset, length, fill};
    return run(test);
  }
  /// What each of `count` blocks from the first holds now, as one character each; '?': not the same all over, '0':
  /// zeroes.
  std::string contents(uint64_t count, uint64_t block_bytes = kBlock) const {
    std::string text;
    for (uint64_t block = 0; block < count; ++block) {
      std::vector<std::byte> bytes(block_bytes);
      disk_->blocks().read(block * block_bytes, bytes, {});
      const bool is_even = std::ranges::all_of(bytes, [&](std::byte byte) { return byte == bytes[0]; });
      text += !is_even ? '?' : bytes[0] == std::byte{0} ? '0' : char(bytes[0]);
    }
    return text;
  }

  Agenda agenda_{1};
  Referee referee_;
  Trace trace_{Trace::Print::kNo};
  WakeCounter clock_{agenda_};
  weft::testing_support::NullSink sink_;
  Reactor reactor_{{}, clock_, sink_};
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<DiskQueue> queue_;
};

}  // namespace weft::sim::testing_support
