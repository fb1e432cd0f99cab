// `weft perf --device`: the workload on a block device of this process, with no target and no network before it.
#pragma once
#include "app/perf.h"

namespace weft::app {

/// Runs it on the device that `options.device` names, as in a configuration. Errors: kInvalid for options that do not fit; the device's.
/// Ends the process, with exit code 1, if the device does not give back what it was given: nothing can be tidied up then.
Result<host::WorkloadReport> run_device_perf(const PerfOptions& options, const host::WorkloadOptions& workload);

}  // namespace weft::app
