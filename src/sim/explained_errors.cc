#include "sim/explained_errors.h"

#include "base/assert.h"

namespace weft::sim {
namespace {

namespace status = nvme::status;

struct Row {
  nvme::Status status;
  ErrorKind kind;
  Effect effect;
};

// Several kinds may explain one status.
constexpr Row kRows[] = {
    {status::kWriteFault, ErrorKind::kMediaError, Effect::kBeforeItsEnd},
    {status::kUnrecoveredReadError, ErrorKind::kMediaError, Effect::kBeforeItsEnd},
    {status::kCapacityExceeded, ErrorKind::kMediaError, Effect::kBeforeItsEnd},
    {status::kInternalError, ErrorKind::kMediaError, Effect::kBeforeItsEnd},
    {status::kInternalError, ErrorKind::kFlushFailed, Effect::kBeforeItsEnd},
    {status::kWriteFault, ErrorKind::kFlushFailed, Effect::kBeforeItsEnd},
    {status::kInternalPathError, ErrorKind::kTimeout, Effect::kAnyTime},
    {status::kInvalidNamespace, ErrorKind::kGone, Effect::kNone},
    {status::kNamespaceWriteProtected, ErrorKind::kWriteProtected, Effect::kBeforeItsEnd},
};

}  // namespace

void ExplainedErrors::expect_no_more(ErrorKind kind, Tick now) {
  Window& window = windows_[size_t(kind)];
  WEFT_ASSERT(window.open > 0);
  --window.open;
  window.closed = now;
}

bool ExplainedErrors::is_expected(ErrorKind kind, Tick began) const {
  const Window& window = windows_[size_t(kind)];
  return window.open > 0 || window.closed > began;
}

Explanation ExplainedErrors::explain(const Access& access, nvme::Status status) const {
  // What an Abort stops, and what came with a wrong digest, was never executed.
  if (status.is(status::kAbortRequested)) return {access.may_be_aborted, Effect::kNone};
  if (status.is(status::kTransientTransportError) || status.is(status::kDataTransferError)) {
    return {access.may_be_corrupted, Effect::kNone};
  }
  for (const Row& row : kRows) {
    if (status.is(row.status) && is_expected(row.kind, access.began)) return {true, row.effect};
  }
  return {};
}

}  // namespace weft::sim
