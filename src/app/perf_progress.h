// The line that `weft perf` rewrites on stderr every half second while it runs. Lives on the reactor's thread.
#pragma once
#include "core/reactor.h"
#include "host/workload.h"

namespace weft::app {

class PerfProgress {
 public:
  /// Outlives: both outlive it.
  PerfProgress(Reactor& reactor, const host::Workload& workload);
  /// Ends the line.
  ~PerfProgress();

 private:
  void on_timer();

  Reactor& reactor_;
  const host::Workload& workload_;
  Instant started_;
  Instant last_;
  host::Progress before_;
  Timer timer_ = Timer::calling<&PerfProgress::on_timer>(this);
};

}  // namespace weft::app
