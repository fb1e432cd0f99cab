#include "nvmf/shutdown_flush.h"

#include "base/simulation.h"

namespace weft::nvmf {

ShutdownFlush* ShutdownFlush::start(SubsystemView& view, std::move_only_function<void()> done) {
  auto* self = new ShutdownFlush;
  self->done_ = std::move(done);
  for (const auto& [nsid, ns_view] : view.by_nsid) {
    if (!ns_view->info().has_volatile_cache || ns_view->ns().is_failed()) continue;
    ns_view->hold();
    auto& flush = *self->flushes_.emplace_back(std::make_unique<Flush>());
    flush.owner = self;
    flush.view = ns_view.get();
    flush.io.op = bdev::Op::kFlush;
    flush.io.on_done = &ShutdownFlush::flushed;
    flush.io.context = &flush;
    ++self->missing_;
    ns_view->channel().submit(flush.io);
  }
  const bool is_over = self->missing_ == 1;
  self->one_done();
  return is_over ? nullptr : self;
}

void ShutdownFlush::flushed(bdev::Io& io, nvme::Status status) {
  auto& flush = *static_cast<Flush*>(io.context);
  if (!status.ok()) {
    WEFT_PROBE("nvmf/shutdown-flush-failed");
    flush.view->ns().fail();
  }
  flush.view->release();
  flush.owner->one_done();
}

void ShutdownFlush::one_done() {
  if (--missing_ > 0) return;
  auto done = std::move(done_);
  delete this;
  if (done) done();
}

}  // namespace weft::nvmf
