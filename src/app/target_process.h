// The target in this process: one reactor per core on threads of their own, the devices, the namespaces and the listeners, composed from a
// configuration. Made, asked and stopped by the control thread (the one that called start()).
#pragma once
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/rdma_service.h"
#include "control/config.h"
#include "core/reactor.h"
#include "net/sockets.h"
#include "nvmf/target.h"
#include "platform/linux/event_loop.h"
#include "platform/linux/log.h"
#include "platform/linux/media_engine.h"
#include "platform/linux/memory.h"
#include "platform/linux/nvme_engine.h"
#include "platform/linux/tcp_transport.h"

namespace weft::app {

class TargetProcess {
 public:
  struct Options {
    std::string state_directory;  // where the machine's id is kept when the system has none
    platform::MediaChoice media = platform::MediaChoice::kUringIfPossible;
    std::unique_ptr<platform::LogOutput> log;  // null: stderr
  };
  /// The cores that the reactors of that configuration run on.
  static std::vector<uint32_t> cores_of(const control::Config& config);
  /// Returns when every listener accepts. Errors: the first thing that failed, with what to do.
  static Result<std::unique_ptr<TargetProcess>> start(control::Config config, Options options);
  /// Stops as stop() does.
  ~TargetProcess();

  /// What each listener of the configuration is bound to, in its order; without those over RDMA where there is none.
  const std::vector<control::Endpoint>& listening() const { return listening_; }
  /// With the names that the configuration left out.
  const control::Config& config() const { return config_; }
  /// Of TCP.
  transport::Totals totals() const { return transport_->totals(); }
  /// Commands and bytes of all namespaces since the start.
  struct Traffic {
    uint64_t reads = 0, writes = 0, read_bytes = 0, written_bytes = 0, media_errors = 0;
  };
  Traffic traffic();

  /// Readable when there are log lines; drain_log() prints them.
  int log_fd() const { return logs_->wake_fd(); }
  void drain_log() { logs_->drain(); }

  /// Finishes what executes within the limit, closes every connection, ends the threads. False: a device never gave back what it was given, so
  /// the process must end without tidying up. Idempotent.
  bool stop();

 private:
  /// What belongs to one reactor, in the order in which it must be made.
  struct Room {
    Room(std::unique_ptr<platform::EventLoop> event_loop, const Reactor::Options& options, LogSink& sink, const Limits& limits);
    ~Room();
    std::unique_ptr<platform::EventLoop> loop;
    Reactor reactor;
    platform::EpollNet network;
    net::Sockets sockets;
    std::jthread thread;
  };
  TargetProcess(control::Config config, std::unique_ptr<platform::LogHub> logs);
  Result<void> make_rooms();
  Result<void> make_target(const Options& options);
  void make_nvme();
  Result<void> make_rdma();
  Result<void> run_reactors();
  Result<void> add_namespaces();
  Result<void> listen();
  bool stop_target();
  bool give_back_devices();

  control::Config config_;
  std::unique_ptr<platform::LogHub> logs_;
  LogSink& sink_;
  Log log_;
  // Later: clearing a huge page on its first touch holds a reactor up for milliseconds, a gigabyte of them for seconds.
  platform::MmapMemory memory_{platform::HugePages::kReservedOrLater};
  std::string machine_id_;
  std::vector<std::unique_ptr<Room>> rooms_;
  std::unique_ptr<platform::MediaEngine> media_;
  std::unique_ptr<platform::NvmeEngine> nvme_;
  std::unique_ptr<nvmf::Target> target_;
  std::unique_ptr<transport::Transport> transport_;
  std::unique_ptr<RdmaService> rdma_;  // null: no listener asks for it, or there is none here
  std::vector<control::Endpoint> listening_;
  bool is_running_ = false;
  bool is_clean_ = true;
};

}  // namespace weft::app
