// The control thread of RDMA: everything that may block is done here, and here the events of the connection manager and of the devices are read, so
// that no reactor ever waits for a device. One in the process, made when the first RDMA listener is, or the first RDMA host connects.
#pragma once
#include <poll.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "platform/linux/rdma_library.h"
#include "platform/linux/unique_fd.h"
#include "verbs/device.h"

namespace weft::platform {

/// An opened device. Lives as long as the control thread's object, also when it has gone.
struct IbDevice final : verbs::Device {
  ibv_context* context = nullptr;
  sockaddr_storage address{};  // one of its own, seen when somebody came over it
  bool has_shared_receives = true;  // shared receive queues; else receives are dealt (receive_dealer.h)
  bool is_gone = false;
};

/// Who hears of an rdma_cm_id: its context. On the control thread.
class CmHandler {
 public:
  virtual void on_cm_event(const rdma_cm_event& event) = 0;

 protected:
  ~CmHandler() = default;
};

/// Who hears of a device's queue pair, shared receive queue, or of the device as a whole: their contexts. On the control thread.
class AsyncHandler {
 public:
  virtual void on_async_event(const ibv_async_event& event) = 0;

 protected:
  ~AsyncHandler() = default;
};

/// Whether a device's shared receive queues are used. Without, any device does as those that have none: for tests.
enum class SharedReceives : uint8_t { kWhereThereAre, kNever };

class RdmaControl {
 public:
  /// Errors: kUnsupported (no libraries), kNotFound or kDenied (no /dev/infiniband/rdma_cm), with what to install, load or allow.
  static Result<std::unique_ptr<RdmaControl>> start(SharedReceives shared_receives = SharedReceives::kWhereThereAre);
  /// Runs what was given to it, then ends. Requires: every domain, queue pair and listener is closed; no handle is left.
  ~RdmaControl();
  /// Ends the thread, after what it was given; what is given to it later is never run. Idempotent.
  void join();

  /// Any thread. Runs `task` on the control thread, in the order given.
  void run(std::move_only_function<void()> task);
  const RdmaLibrary& library() const { return library_; }
  rdma_event_channel* channel() const { return channel_; }

  // --- on the control thread ------------------------------------------------------------------------------------------------------------------
  /// The device of an id that is bound to one.
  IbDevice& device_of(const rdma_cm_id& id);
  /// Hears of the device's asynchronous events until unwatch(). DEVICE_FATAL and port events go to everybody who watches it.
  void watch(IbDevice& device, AsyncHandler& handler);
  void unwatch(IbDevice& device, AsyncHandler& handler);
  /// Tries `again` every second until it returns true. `owner` names it for forget().
  void retry(const void* owner, std::move_only_function<bool()> again);
  void forget(const void* owner);
  /// Counts memory about to be locked. Errors: kLimit, with the numbers and the cure, when the process may not lock as much.
  Result<void> lock_memory(size_t bytes);
  void unlock_memory(size_t bytes) { locked_bytes_ -= bytes; }

 private:
  struct Watch {
    IbDevice* device;
    std::vector<AsyncHandler*> handlers;
  };
  struct Retry {
    const void* owner;
    std::move_only_function<bool()> again;
  };
  RdmaControl(const RdmaLibrary& library, rdma_event_channel* channel, UniqueFd wake, SharedReceives shared_receives)
      : library_(library), channel_(channel), wake_(std::move(wake)), shared_receives_(shared_receives) {}
  void work();
  void run_tasks();
  void run_retries();
  void read_cm_events();
  void removed(const ibv_context* context);
  void let_go_of_removed();
  void read_async_events(Watch& watch);
  void dispatch(Watch& watch, const ibv_async_event& event);

  const RdmaLibrary& library_;
  rdma_event_channel* channel_;
  UniqueFd wake_;
  SharedReceives shared_receives_;
  std::mutex mutex_;
  std::deque<std::move_only_function<void()>> tasks_;  // under mutex_
  bool is_stopping_ = false;                           // under mutex_
  std::vector<std::unique_ptr<IbDevice>> devices_;
  bool has_removed_ = false;  // since let_go_of_removed()
  std::vector<std::unique_ptr<Watch>> watches_;
  std::vector<Retry> retries_;
  std::chrono::steady_clock::time_point retried_{};
  size_t locked_bytes_ = 0;
  std::thread thread_;
};

}  // namespace weft::platform
