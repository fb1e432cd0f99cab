#include "sim/session.h"

#include "sim/host_machine.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::sim {
namespace {

constexpr Duration kLook = milliseconds(2);  // how often a session looks whether something has changed
constexpr Duration kStepTimeout = seconds(4);
constexpr Duration kCommandTimeout = seconds(8);  // longer than anything that a target waits for
constexpr uint64_t kRetryPauseMaxMs = 100;
constexpr uint64_t kLeaveAfterMaxMs = 4000;
constexpr size_t kLastBytesMax = 64 << 10;

}  // namespace

/// A Compare, which moves data to the controller and changes nothing, of the first blocks of the first namespace.
class Session::LastCommand final : public host::Command {
 public:
  explicit LastCommand(const NamespacePlan& ns) {
    const uint64_t blocks = std::min<uint64_t>(ns.blocks, kLastBytesMax / ns.block_bytes);
    data_.resize(blocks * ns.block_bytes);
    sqe.opcode = uint8_t(nvme::IoOpcode::kCompare);
    sqe.nsid = 1;
    sqe.cdw12 = uint32_t(blocks - 1);
    out = data_;
  }
  size_t size() const { return data_.size(); }
  void on_completed(const nvme::Cqe&) override {}

 private:
  std::vector<std::byte> data_;
};

Session::Session(const Setting& setting, HostProcess& process, const Options& options)
    : setting_(setting),
      process_(process),
      options_(options),
      random_(options.seed),
      volumes_(options.target.volumes(options.plan.subsystem)) {}

Session::~Session() = default;

void Session::start() {
  task_.emplace(run());
  process_.reactor().post([this] { task_->start([this] { setting_.agenda.after({}, on_end_); }); });
}

void Session::end(std::function<void()> done) {
  on_end_ = std::move(done);
  is_ending_ = true;
}

void Session::die() {
  // While it connects or ends, a task waits for the controller, and nothing is outstanding that a volume knows of.
  if (workload_ != nullptr && !is_ending_ && !is_shutting_down_) controller_.reset();
}

host::ConnectOptions Session::connect_options() const {
  const AssociationPlan& plan = options_.plan;
  return {.endpoint = {.host = Network::address_of(options_.target.machine(), 0).host, .port = TargetMachine::kPort},
          .subnqn = options_.target.plan().subsystems[plan.subsystem].nqn,
          .host = HostMachine::identity_of(options_.host),
          .digests = plan.digests,
          .io_queues = plan.io_queues,
          .queue_entries = plan.queue_entries,
          .sq_flow = plan.has_flow_control ? host::SqFlow::kControlled : host::SqFlow::kDisabled,
          .keep_alive = plan.keep_alive,
          .timeout = kStepTimeout};
}

Task<int> Session::run() {
  while (!is_ending_) {
    if (!may_connect()) {
      co_await Pause{process_.reactor(), kLook};
      continue;
    }
    controller_ = std::make_unique<host::Controller>(process_.reactor(), process_.transport(options_.plan.fabric), connect_options());
    const Instant began = setting_.agenda.now();
    const auto connected = co_await controller_->connect();
    if (connected) {
      check_admission(began);
      ++associations_;
      setting_.trace.note(setting_.agenda.now(), "host {}: controller {} of target {}", options_.host,
                          controller_->cntlid(), options_.plan.target);
      co_await work();
    } else {
      last_error_ = connected.error().what();
      setting_.trace.note(setting_.agenda.now(), "host {}: {}", options_.host, last_error_);
    }
    controller_.reset();
    if (workload_ != nullptr) commands_ += workload_->tally().commands;
    workload_.reset();
    if (!is_ending_) co_await Pause{process_.reactor(), milliseconds(int64_t(1 + random_.below(kRetryPauseMaxMs)))};
  }
  co_return 0;
}

/// Over RDMA nobody may tell the target that a connection is lost: then a host that went on at once could be overtaken by its own old writes. It has to wait
/// until the old association is over (NVMe TP 4129); the world knows when.
bool Session::may_connect() const {
  return options_.plan.fabric != FabricKind::kRdma || !setting_.rdma.is_unaware(options_.target.machine(), options_.host);
}

/// A host that was forbidden before it tried does not get in.
void Session::check_admission(Instant began) {
  const auto since = options_.target.forbidden_since(options_.plan.subsystem, HostMachine::identity_of(options_.host).nqn);
  if (!since || *since > began) return;
  setting_.referee.fail("association", fmt::format("host {} has connected to target {}, which forbids it", options_.host, options_.plan.target));
}

Task<int> Session::work() {
  const WorkloadOptions options{.host = options_.number,
                                .queue_depth = options_.plan.queue_depth,
                                .command_timeout = kCommandTimeout,
                                .is_write_cache_enabled = !random_.one_in(8)};
  workload_ = std::make_unique<Workload>(process_.reactor(), *controller_, Prng{random_.next()}, options, volumes_,
                                         setting_.referee, setting_.trace);
  if (options_.is_network_corrupting) workload_->expect_corruption();
  if (proof_since_) workload_->prove_progress_since(*proof_since_);
  workload_->start();
  is_fading_ = false;
  const bool may_leave = random_.one_in(4);
  const Instant leave = setting_.agenda.now() + milliseconds(int64_t(random_.below(kLeaveAfterMaxMs)));
  // Until faults are over, an association ends in order now and then, and the next one takes its place.
  const auto is_leaving = [&] { return may_leave && !proof_since_ && setting_.agenda.now() >= leave; };
  while (!is_ending_ && !workload_->is_lost() && !is_leaving() && !is_fading_) co_await Pause{process_.reactor(), kLook};
  workload_->stop();
  while (!workload_->is_lost() && !workload_->is_idle()) co_await Pause{process_.reactor(), kLook};
  if (workload_->is_lost()) {
    workload_->judge_end();
    last_error_ = controller_->failure() == nullptr ? "lost" : controller_->failure()->what();
    setting_.trace.note(setting_.agenda.now(), "host {}: {}", options_.host, last_error_);
  } else if (is_fading_ && !proof_since_) {
    co_await fade_away();
  } else {
    is_shutting_down_ = true;
    co_await controller_->shutdown();
    is_shutting_down_ = false;
  }
  co_return 0;
}

/// What counts for keep-alive, a command of some Keep Alive, may have come long before the last byte of data.
Task<int> Session::fade_away() {
  const Duration kato = options_.plan.keep_alive;
  const size_t from = options_.host, to = options_.target.machine();
  last_command_ = std::make_unique<LastCommand>(options_.target.plan().subsystems[options_.plan.subsystem].namespaces[0]);
  setting_.network.slow_down(from, to, kato * 2 / int64_t(last_command_->size() / Network::kSlowPieceBytes));
  if (controller_->io_queue(0).has_room()) controller_->io_queue(0).submit(*last_command_);
  co_await Pause{process_.reactor(), kato * int64_t(30 + random_.below(70)) / 100};
  if (!proof_since_) {
    setting_.network.hold(from, to);
    co_await Pause{process_.reactor(), kato * 2};
  }
  setting_.network.hasten(from, to);
  setting_.network.release(from, to);
  co_return 0;
}

void Session::prove_work_since(Instant since) {
  proof_since_ = since;
  if (workload_ != nullptr) workload_->prove_progress_since(since);
}

std::string Session::state() const {
  if (workload_ == nullptr) return fmt::format("is not connected; the last time: {}", last_error_);
  return fmt::format("is connected as controller {} and does not get all its work done", controller_->cntlid());
}

}  // namespace weft::sim
