#include "sim/session.h"

#include "sim/host_machine.h"

namespace weft::sim {
namespace {

constexpr Duration kLook = milliseconds(2);  // how often a session looks whether something has changed
constexpr Duration kStepTimeout = seconds(4);

}  // namespace

Session::Session(const Setting& setting, HostProcess& process, size_t host, const AssociationPlan& plan,
                 TargetMachine& target, uint64_t seed)
    : setting_(setting), process_(process), host_(host), plan_(plan), target_(target), random_(seed) {}

void Session::start() {
  task_.emplace(run());
  process_.reactor().post([this] { task_->start([this] { setting_.agenda.after({}, on_end_); }); });
}

void Session::end(std::function<void()> done) {
  on_end_ = std::move(done);
  is_ending_ = true;
}

Task<int> Session::run() {
  while (!is_ending_) {
    host::ConnectOptions options{
        .endpoint = {.host = Network::address_of(target_.machine(), 0).host, .port = TargetMachine::kPort},
        .subnqn = target_.plan().subsystems[plan_.subsystem].nqn,
        .host = HostMachine::identity_of(host_),
        .digests = plan_.digests,
        .io_queues = plan_.io_queues,
        .queue_entries = plan_.queue_entries,
        .sq_flow = plan_.has_flow_control ? host::SqFlow::kControlled : host::SqFlow::kDisabled,
        .keep_alive = plan_.keep_alive,
        .timeout = kStepTimeout};
    controller_ = std::make_unique<host::Controller>(process_.reactor(), process_.transport(), std::move(options));
    auto connected = co_await controller_->connect();
    if (connected) {
      ++associations_;
      setting_.trace.note(setting_.agenda.now(), "host {}: connected to target {} as controller {}", host_,
                          plan_.target, controller_->cntlid());
      co_await work();
    } else {
      setting_.trace.note(setting_.agenda.now(), "host {}: {}", host_, connected.error().what());
    }
    controller_.reset();
    if (!is_ending_) co_await Pause{process_.reactor(), milliseconds(int64_t(1 + random_.below(100)))};
  }
  co_return 0;
}

Task<Result<void>> Session::work() {
  is_connected_ = true;
  connected_at_ = Instant::never();
  while (!is_ending_ && controller_->failure() == nullptr) co_await Pause{process_.reactor(), kLook};
  is_connected_ = false;
  if (controller_->failure() == nullptr) co_await controller_->shutdown();
  co_return Result<void>{};
}

}  // namespace weft::sim
