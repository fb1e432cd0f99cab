#include "app/device_perf.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

#include "app/device_queue.h"
#include "app/device_request.h"
#include "app/perf_progress.h"
#include "base/bits.h"
#include "host/data_area.h"
#include "platform/linux/ask_reactor.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/memory.h"
#include "platform/linux/nvme_engine.h"
#include "platform/linux/open_device.h"
#include "platform/linux/terminal.h"

namespace weft::app {
namespace {

constexpr size_t kHugePage = 2 << 20;  // without an IOMMU only reserved ones will do

class StderrSink final : public LogSink {
 public:
  void write(LogLevel level, std::string_view line) override {
    if (level >= LogLevel::kWarn) std::fprintf(stderr, "%.*s\n", int(line.size()), line.data());
  }
};

class AreaLender final : public host::MemoryLender {
 public:
  explicit AreaLender(host::DataArea& area) : area_(area) {}
  std::span<std::byte> take_memory(size_t size_bytes) override { return area_.try_take(size_bytes); }
  void give_back_memory(std::span<std::byte> memory) override { area_.give_back(memory); }

 private:
  host::DataArea& area_;
};

/// One reactor on a thread of its own: opening a device waits, on the caller's thread, for what the reactor does.
class DeviceRuntime {
 public:
  DeviceRuntime(std::unique_ptr<platform::EventLoop> loop, MemorySource& memory, Region data)
      : loop_(std::move(loop)), reactor_({}, *loop_, sink_), memory_(memory), area_(std::move(data)), thread_([this] { run(); }) {}
  ~DeviceRuntime() {
    if (!nvme_.stop()) {
      std::fputs("weft perf: the device did not shut down\n", stderr);
      std::fflush(nullptr);
      std::_Exit(1);
    }
    reactor_.stop();
    thread_.join();
    while (reactor_.run_once() != Reactor::Turn::kIdle) {
    }
    reactor_.remove(*loop_);
  }
  Reactor& reactor() { return reactor_; }
  host::DataArea& area() { return area_; }

  Result<std::unique_ptr<bdev::Bdev>> open(const control::DeviceSpec& spec) { return platform::open_device(device_request(spec), {media_, nvme_, memory_, log_}); }

  /// Where its controller lives.
  void close(std::unique_ptr<bdev::Bdev> device) {
    platform::ask<void>(reactor_, [device = std::move(device)](platform::Answer<void> closed) mutable {
      device.reset();
      closed->set_value();
    });
  }

  /// Runs the task that `make` returns on the reactor and waits for its end.
  template <typename T>
  T wait_for(std::move_only_function<Task<T>()> make) {
    struct Running {
      Task<T> task;
      platform::Answer<T> result;
    };
    return platform::ask<T>(reactor_, [make = std::move(make)](platform::Answer<T> result) mutable {
      auto* running = new Running{make(), std::move(result)};
      running->task.start([running] {
        const std::unique_ptr<Running> ended{running};
        ended->result->set_value(ended->task.take());
      });
    });
  }

 private:
  void run() {
    reactor_.add(*loop_);
    reactor_.run();
  }

  StderrSink sink_;
  Log log_{sink_};
  std::unique_ptr<platform::EventLoop> loop_;
  platform::EventLoop* loops_[1] = {loop_.get()};
  Reactor reactor_;
  MemorySource& memory_;
  host::DataArea area_;
  platform::MediaEngine media_{platform::MediaChoice::kUringIfPossible, loops_, log_};
  platform::NvmeEngine nvme_{{{reactor_, *loop_}}, memory_, {area_.memory()}, log_};
  std::thread thread_;
};

Task<Result<host::WorkloadReport>> run_on(Reactor& reactor, host::DataArea& area, bdev::Bdev& device, PerfOptions options, host::WorkloadOptions wanted) {
  const uint32_t block_bytes = device.info().block_size;
  AreaLender lender{area};
  std::vector<std::unique_ptr<DeviceQueue>> queues;
  // A device takes I/O of any length, and makes as many commands of it as it must.
  host::WorkloadPath path{lender, UINT32_MAX, options.queue_depth, [&queues]() -> const Error* {
    for (const auto& queue : queues) {
      if (queue->failure() != nullptr) return queue->failure();
    }
    return nullptr;
  }};
  for (uint16_t i = 0; i < options.connections; ++i) {
    auto channel = device.open_channel(reactor);
    if (!channel) co_return std::unexpected(channel.error());
    queues.push_back(std::make_unique<DeviceQueue>(reactor, std::move(*channel), block_bytes, options.queue_depth));
    path.queues.push_back(queues.back().get());
  }
  const host::Extent extent{.nsid = 1, .lba_bytes = block_bytes, .lbas = device.info().block_count};
  const auto workload = host::Workload::create(reactor, std::move(path), extent, wanted);
  if (!workload) co_return std::unexpected(workload.error());
  std::optional<PerfProgress> progress;
  if (options.has_progress || platform::is_stderr_terminal()) progress.emplace(reactor, **workload);
  co_return co_await (*workload)->run();
}

}  // namespace

Result<host::WorkloadReport> run_device_perf(const PerfOptions& options, const host::WorkloadOptions& workload) {
  const auto spec = control::parse_device_spec(options.device);
  if (!spec) return std::unexpected(spec.error());
  auto loop = platform::EventLoop::create();
  if (!loop) return std::unexpected(loop.error());
  platform::MmapMemory memory{platform::HugePages::kReservedOrLater};
  const size_t data_bytes = size_t{options.connections} * options.queue_depth * host::DataArea::rounded(workload.io_bytes);
  auto data = memory.map(align_up(data_bytes, kHugePage), "the data of perf");
  if (!data) return std::unexpected(data.error());
  DeviceRuntime runtime{std::move(*loop), memory, std::move(*data)};
  auto device = runtime.open(*spec);
  if (!device) return std::unexpected(device.error());
  auto report = runtime.wait_for<Result<host::WorkloadReport>>([&] { return run_on(runtime.reactor(), runtime.area(), **device, options, workload); });
  runtime.close(std::move(*device));
  return report;
}

}  // namespace weft::app
