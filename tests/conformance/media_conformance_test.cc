// The media suite on a file through io_uring and through threads, and on the medium in memory that unit tests use.
#include "tests/conformance/media_conformance.h"

#include "core/test_support.h"
#include "media/memory_medium.h"
#include "platform/linux/files.h"
#include "platform/linux/temporary_directory.h"
#include "platform/linux/thread_media.h"
#include "platform/linux/uring_media.h"

namespace weft::conformance {
namespace {

/// A reactor on a clock that really sleeps.
struct Side {
  explicit Side(uint32_t index) : reactor({.index = index}, *loop, sink) { reactor.add(*loop); }
  ~Side() { reactor.remove(*loop); }
  std::unique_ptr<platform::EventLoop> loop = std::move(*platform::EventLoop::create());
  testing_support::NullSink sink;
  Reactor reactor;
};

class FileWorld {
 public:
  static constexpr uint64_t kSizeBytes = 64 << 20;
  Reactor& reactor(size_t index) { return sides_[index].reactor; }
  void turn() {
    for (Side& side : sides_) side.reactor.run_once();
  }

 protected:
  platform::OpenMedium open() const {
    return std::move(platform::open_file({.path = directory_.path("disk"), .size_bytes = kSizeBytes}).value().medium);
  }
  std::array<platform::EventLoop*, 2> loops() { return {sides_[0].loop.get(), sides_[1].loop.get()}; }

 private:
  platform::TemporaryDirectory directory_;
  std::array<Side, 2> sides_{Side{0}, Side{1}};
};

class UringFileWorld : public FileWorld {
 public:
  using Medium = platform::UringMedium;
  /// io_uring is forbidden in some containers; there the target itself takes threads.
  static std::optional<std::string> obstacle() {
    const auto probed = platform::probe_io_uring<platform::FileCommands>();
    return probed ? std::nullopt : std::optional{std::string{probed.error().what()}};
  }
  Medium& medium() { return *medium_; }

 private:
  platform::Rings rings_{loops()};
  std::unique_ptr<Medium> medium_ = std::move(Medium::create(open(), rings_).value());
};

class ThreadFileWorld : public FileWorld {
 public:
  using Medium = platform::ThreadMedium;
  Medium& medium() { return *medium_; }

 private:
  std::unique_ptr<Medium> medium_ = std::move(Medium::create(open()).value());
};

/// Asleep, it is woken or sleeps to the end.
class FlagClock final : public Clock {
 public:
  Instant now() override { return now_; }
  uint64_t wall_clock_ms() override { return 0; }
  void wait(Instant deadline) override {
    if (!std::exchange(is_woken_, false)) now_ = deadline;
  }
  void wake() override { is_woken_ = true; }

 private:
  Instant now_{1};
  bool is_woken_ = false;
};

class MemoryWorld {
 public:
  using Medium = media::MemoryMedium;
  static constexpr uint64_t kSizeBytes = 64 << 20;
  MemoryWorld() { script_.bytes.resize(kSizeBytes); }
  Medium& medium() { return medium_; }
  Reactor& reactor(size_t index) { return sides_[index].reactor; }
  void turn() {
    for (auto& side : sides_) side.reactor.run_once();
  }

 private:
  struct MemorySide {
    FlagClock clock;
    testing_support::NullSink sink;
    Reactor reactor{{}, clock, sink};
  };
  media::MemoryScript script_;
  Medium medium_{script_};
  std::array<MemorySide, 2> sides_;
};

using Worlds = ::testing::Types<UringFileWorld, ThreadFileWorld, MemoryWorld>;

struct WorldNames {
  template <typename W>
  static std::string GetName(int index) {
    return std::array{"UringFile", "ThreadFile", "Memory"}[size_t(index)];
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(All, MediaConformance, Worlds, WorldNames);

}  // namespace
}  // namespace weft::conformance
