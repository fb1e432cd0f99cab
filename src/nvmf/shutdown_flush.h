// What a shutdown (CC.SHN) owes the host: every volatile write cache behind its namespaces is flushed before CSTS says that the shutdown is
// complete. Runs on the controller's reactor. Owns itself until the last device has answered, however late that is. NVMe Base 2.0 §3.6.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "nvmf/subsystem.h"

namespace weft::nvmf {

class ShutdownFlush {
 public:
  /// Starts it; `done` when every device has answered, maybe now: then null is returned. A flush that fails fails its namespace.
  static ShutdownFlush* start(SubsystemView& view, std::move_only_function<void()> done);
  /// The controller goes: `done` is not called any more.
  void forget() { done_ = nullptr; }

 private:
  struct Flush {
    bdev::Io io;
    ShutdownFlush* owner;
    NamespaceView* view;
  };
  static void flushed(bdev::Io& io, nvme::Status status);
  void one_done();

  std::move_only_function<void()> done_;
  std::vector<std::unique_ptr<Flush>> flushes_;
  size_t missing_ = 1;  // start() itself, so that no answer that comes at once is the last one
};

}  // namespace weft::nvmf
