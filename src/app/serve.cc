#include "app/serve.h"

#include <fmt/core.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "app/target_process.h"
#include "control/explain_memory.h"
#include "platform/linux/process.h"

namespace weft::app {
namespace {

constexpr Duration kLogPeriod = seconds(1);
constexpr char kStateDirectory[] = "/var/lib/weft";

/// Ends the process when another signal comes while it shuts down.
class SecondSignal {
 public:
  explicit SecondSignal(platform::StopSignals& signals)
      : watcher_([this, &signals] {
          while (!is_over_) {
            if (signals.wait(milliseconds(20), -1) == platform::StopSignals::Woken::kSignal) std::_Exit(1);
          }
        }) {}
  ~SecondSignal() {
    is_over_ = true;
    watcher_.join();
  }

 private:
  std::atomic<bool> is_over_{false};
  std::thread watcher_;
};

}  // namespace

std::string listening_text(const control::Endpoint& endpoint) {
  return fmt::format("{} {}", name_of(endpoint.scheme), control::to_text(endpoint.address));
}

int run_serve(const ServeOptions& options) {
  const auto config = serve_config(options);
  if (!config) {
    std::fputs(config.error().text.c_str(), stderr);
    return config.error().exit_code;
  }
  if (options.explain_memory) {
    auto scale = control::scale_of(*config);
    scale.reactors = uint32_t(TargetProcess::cores_of(*config).size());
    std::fputs(control::explain_memory(config->target.limits, scale).c_str(), stdout);
    return 0;
  }
  auto signals = platform::StopSignals::create();
  if (!signals) {
    fmt::print(stderr, "weft: {}\n", signals.error().what());
    return 1;
  }
  auto process = TargetProcess::start(*config, {.state_directory = kStateDirectory});
  if (!process) {
    fmt::print(stderr, "weft: {}\n", process.error().what());
    return 1;
  }
  for (const control::Endpoint& endpoint : (*process)->listening()) fmt::print("listening {}\n", listening_text(endpoint));
  fmt::print("ready\n");
  std::fflush(stdout);

  while (signals->wait(kLogPeriod, (*process)->log_fd()) != platform::StopSignals::Woken::kSignal) (*process)->drain_log();

  const SecondSignal second{*signals};
  if (!(*process)->stop()) {
    fmt::print(stderr, "weft: a device did not give back what it was given in time; ending anyway\n");
    std::fflush(nullptr);
    std::_Exit(1);
  }
  process->reset();
  return 0;
}

}  // namespace weft::app
