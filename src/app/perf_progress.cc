#include "app/perf_progress.h"

#include <fmt/format.h>

#include <cstdio>

namespace weft::app {
namespace {

constexpr Duration kPeriod = milliseconds(500);

}  // namespace

PerfProgress::PerfProgress(Reactor& reactor, const host::Workload& workload)
    : reactor_(reactor), workload_(workload), started_(reactor.now()), last_(reactor.now()) {
  reactor_.arm(timer_, kPeriod);
}

PerfProgress::~PerfProgress() {
  reactor_.disarm(timer_);
  if (last_ != started_) std::fputc('\n', stderr);
}

void PerfProgress::on_timer() {
  const host::Progress progress = workload_.progress();
  const double seconds_passed = double((reactor_.now() - last_).ns) / 1e9;
  fmt::print(stderr, "\r{:6.1f} s {:>10.0f} IOPS {:>9.1f} MiB/s {} errors ", double((reactor_.now() - started_).ns) / 1e9,
             double(progress.ios - before_.ios) / seconds_passed, double(progress.bytes - before_.bytes) / seconds_passed / (1 << 20), progress.errors);
  std::fflush(stderr);
  before_ = progress;
  last_ = reactor_.now();
  reactor_.arm(timer_, kPeriod);
}

}  // namespace weft::app
