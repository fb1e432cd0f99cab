#include "bench/nvme_reads.h"

#include <array>
#include <optional>
#include <vector>

#include "base/prng.h"
#include "bdev/nvme/nvme_device.h"
#include "bdev/test_support.h"
#include "bench/system.h"
#include "core/test_support.h"
#include "sim/nvme_function.h"

namespace weft::bench {
namespace {

constexpr uint32_t kBlockSize = 512;
constexpr uint32_t kReadBytes = 4096;
constexpr uint64_t kDiskBytes = 64 << 20;

/// A controller and its driver, on one reactor.
class Drive {
 public:
  explicit Drive(size_t data_bytes) : memory_(data_bytes) {
    function_.map_data(memory_.bytes());
    std::optional<Result<void>> started;
    controller_.start([&](Result<void> result) { started = result; });
    while (!started) turn();
    if (!*started) die("the controller does not come up");
    started.reset();
    place_.use(controller_, [&](Result<void> result) { started = result; });
    while (!started) turn();
    device_ = std::move(*place_.make(1));
    turn();
    channel_ = std::move(*device_->open_channel(reactor_));
  }
  ~Drive() {
    channel_.reset();
    device_.reset();
    bool is_stopped = false;
    place_.leave([&] { controller_.stop([&] { is_stopped = true; }); });
    while (!is_stopped) turn();
  }
  void turn() {
    clock_.advance(microseconds(100));
    agenda_.run_until(agenda_.now() + microseconds(100));
    reactor_.run_once();
  }
  bdev::Channel& channel() { return *channel_; }
  std::span<std::byte> memory() { return memory_.bytes(); }

 private:
  weft::testing_support::ManualClock clock_;
  weft::testing_support::NullSink sink_;
  Reactor reactor_{{}, clock_, sink_};
  sim::Agenda agenda_{1};
  sim::Referee referee_;
  sim::Trace trace_{sim::Trace::Print::kNo};
  sim::Disk disk_{{agenda_, referee_, trace_}, {.name = "nvm", .size_bytes = kDiskBytes}, Prng{1}, {}};
  sim::NvmeDevice hardware_{{agenda_, referee_, trace_}, {}, {{.disk = &disk_, .block_count = kDiskBytes / kBlockSize, .block_size = kBlockSize}}, Prng{2}};
  sim::NvmeFunction function_{hardware_, Prng{3}};
  bdev::testing_support::AlignedBytes memory_;
  nvme::Controller controller_{reactor_, function_, {}};
  bdev::NvmeDevice place_{reactor_, std::array{&reactor_}, "nvme", [] {}};
  std::unique_ptr<bdev::Bdev> device_;
  std::unique_ptr<bdev::Channel> channel_;
};

}  // namespace

void run_nvme_reads(size_t commands, size_t depth) {
  Drive drive(depth * kReadBytes);
  size_t answered = 0;
  std::vector<std::unique_ptr<bdev::Io>> ios;
  for (size_t i = 0; i < depth; ++i) {
    ios.push_back(std::make_unique<bdev::Io>());
    ios[i]->context = &answered;
    ios[i]->data = drive.memory().subspan(i * kReadBytes, kReadBytes);
    ios[i]->block_count = kReadBytes / kBlockSize;
    ios[i]->on_done = [](bdev::Io& io, nvme::Status status) {
      if (!status.ok()) die("a read failed");
      ++*static_cast<size_t*>(io.context);
    };
  }
  Prng prng(1);
  for (size_t done = 0; done < commands; done += depth) {
    answered = 0;
    for (auto& io : ios) {
      io->block = prng.below(kDiskBytes / kReadBytes) * io->block_count;
      drive.channel().submit(*io);
    }
    while (answered < depth) drive.turn();
  }
}

}  // namespace weft::bench
