#include "nvmf/connect.h"

#include <cstring>
#include <memory>

#include "base/simulation.h"
#include "nvmf/association_wait.h"
#include "nvmf/controller.h"
#include "nvmf/gate.h"
#include "nvmf/shard.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace status = nvme::status;
using fabrics::ConnectData;
using fabrics::ConnectSqe;
using fabrics::invalid_in_data;
using fabrics::invalid_in_sqe;

/// A Connect whose own fields are in order.
struct Connector::Request {
  SubsystemView* view = nullptr;
  HostIdentity host;
  uint16_t cntlid = 0;
  uint16_t qid = 0;
  uint16_t sqsize = 0;  // 0-based
  uint32_t kato_ms = 0;
  bool is_sq_flow_control_disabled = false;
};

/// What the home reactor says to a new controller.
struct Connector::Registration {
  nvme::Status status;
  uint16_t cntlid = 0;
};

namespace {

/// Text up to its NUL, or null when there is none or nothing before it.
std::optional<std::string_view> text_of(const std::array<char, 256>& field) {
  const size_t length = strnlen(field.data(), field.size());
  if (length == 0 || length > fabrics::kNqnLengthMax) return std::nullopt;
  return std::string_view{field.data(), length};
}

constexpr nvme::Status kInvalid = status::kConnectInvalidParameters.with_dnr();

}  // namespace

void Connector::refuse(Queue& queue, Command& command, nvme::Status why, uint32_t parameter) {
  if (queue.state_ == QueueState::kConnecting) queue.state_ = QueueState::kFresh;
  queue.subsystem_ = nullptr;  // it may go
  queue.complete(command, why, parameter);
}

nvme::Status Connector::check(Queue& queue, const ConnectSqe& sqe, const ConnectData& data, Request& request, uint32_t& parameter) {
  const Limits& limits = queue.shard_.limits();
  if (sqe.recfmt != 0) return status::kConnectIncompatibleFormat.with_dnr();

  const auto subnqn = text_of(data.subnqn);
  request.view = subnqn ? queue.shard_.find_subsystem(*subnqn) : nullptr;
  parameter = invalid_in_data(offsetof(ConnectData, subnqn));
  if (request.view == nullptr) return kInvalid;

  const auto hostnqn = text_of(data.hostnqn);
  parameter = invalid_in_data(offsetof(ConnectData, hostnqn));
  if (!hostnqn) return kInvalid;
  if (!request.view->access.allows(*hostnqn, queue.origin_.is_loopback_listener)) {
    WEFT_PROBE("nvmf/connect-of-forbidden-host");
    return status::kConnectInvalidHost.with_dnr();
  }
  request.host = {std::string{*hostnqn}, data.hostid};
  request.qid = sqe.qid;
  request.cntlid = data.cntlid;
  request.sqsize = sqe.sqsize;
  request.kato_ms = sqe.kato;
  request.is_sq_flow_control_disabled = (sqe.cattr & fabrics::kCattrDisableSqFlowControl) != 0;

  parameter = invalid_in_data(offsetof(ConnectData, cntlid));
  if (request.qid == 0 && request.cntlid != fabrics::kCntlidDynamic) return kInvalid;  // dynamic controllers only

  const uint32_t entries_max = request.qid == 0 ? limits.admin_queue_entries : limits.queue_entries;
  parameter = invalid_in_sqe(offsetof(ConnectSqe, sqsize));
  if (request.sqsize == 0 || uint32_t{request.sqsize} + 1 > entries_max) return kInvalid;
  return status::kSuccess;
}

void Connector::connect(Queue& queue, Command& command) {
  // A queue whose Connect was refused has room for several; while one waited for its data, another may have come through.
  if (queue.state_ != QueueState::kFresh) return queue.complete(command, kOutOfOrder);
  const auto& sqe = reinterpret_cast<const ConnectSqe&>(command.sqe);
  const auto& data = *reinterpret_cast<const ConnectData*>(command.data.data());
  Request request;
  uint32_t parameter = 0;
  if (const nvme::Status checked = check(queue, sqe, data, request, parameter); !checked.ok()) {
    const bool has_parameter = checked.is(status::kConnectInvalidParameters);
    return refuse(queue, command, checked, has_parameter ? parameter : 0);
  }
  // Retried by the host: a slot shortage and a stopping target pass.
  if (queue.shard_.is_stopping() || !queue.slots_.resize(uint32_t{request.sqsize} + 1)) {
    return refuse(queue, command, status::kConnectControllerBusy, 0);
  }
  queue.state_ = QueueState::kConnecting;
  queue.is_sq_flow_control_disabled_ = request.is_sq_flow_control_disabled;
  queue.qid_ = request.qid;
  queue.subsystem_ = request.view;
  return request.qid == 0 ? connect_admin(queue, command, request) : connect_io(queue, command, request);
}

void Connector::connect_admin(Queue& queue, Command& command, const Request& request) {
  Shard& shard = queue.shard_;
  Controller& controller = shard.add(std::make_unique<Controller>(shard, *request.view, request.host, queue));
  controller.keep_alive().set_timeout_ms(request.kato_ms);
  shard.home().post([&queue, &command, &controller, &shard, is_loopback = queue.origin_.is_loopback_listener] {
    Subsystem& subsystem = controller.subsystem();
    AssociationWait::start(shard.target(), subsystem, controller.host(), [&, is_loopback](AssociationWait::Outcome outcome) {
      const bool is_clear = outcome == AssociationWait::Outcome::kClear;
      const auto registration = is_clear ? register_at_home(subsystem, controller, is_loopback)
                                         : Registration{status::kConnectControllerBusy};  // the host tries again
      shard.reactor().post([&queue, &command, &controller, registration] { registered(queue, command, controller, registration); });
    });
  });
}

/// The last word: the rules may have changed since the Connect's own shard has looked.
Connector::Registration Connector::register_at_home(Subsystem& subsystem, Controller& controller, bool is_loopback) {
  const nvme::Status admitted = subsystem.admits(controller.host().nqn, is_loopback);
  if (!admitted.ok()) {
    WEFT_PROBE("nvmf/connect-refused-at-home");
    return {admitted};
  }
  const auto cntlid = subsystem.registry().add({.controller = &controller, .host = controller.host(), .is_loopback = is_loopback});
  if (!cntlid) return {status::kConnectControllerBusy};
  return {status::kSuccess, *cntlid};
}

void Connector::registered(Queue& queue, Command& command, Controller& controller, Registration registration) {
  if (!registration.status.ok()) {
    queue.shard_.remove(controller);
    const bool is_unknown = registration.status.is(status::kConnectInvalidParameters);  // the subsystem has gone meanwhile
    return refuse(queue, command, registration.status, is_unknown ? invalid_in_data(offsetof(ConnectData, subnqn)) : 0);
  }
  controller.set_cntlid(registration.cntlid);
  queue.shard_.reactor().log().info("controller {} of {}: host {} has connected from {}", registration.cntlid, controller.subsystem().config().nqn,
                                    controller.host().nqn, queue.origin_.peer_host);
  joined(queue, command, controller);
}

void Connector::connect_io(Queue& queue, Command& command, const Request& request) {
  Shard& shard = queue.shard_;
  // What goes from reactor to reactor is decided by values only; the queue is safe to name, since it outlives its Connect command.
  auto answer = [&queue, &command, &shard](nvme::Status decided, uint32_t parameter, Controller* controller, QueueSettings settings) {
    shard.reactor().post([&queue, &command, decided, parameter, controller, settings] {
      if (controller == nullptr) return refuse(queue, command, decided, parameter);
      queue.settings_ = settings;
      joined(queue, command, *controller);
    });
  };
  shard.home().post([&queue, &shard, &registry = request.view->subsystem.registry(), cntlid = request.cntlid, qid = request.qid,
                     host = request.host, answer] {
    Controller* controller = registry.find(cntlid);
    if (controller == nullptr) {
      WEFT_PROBE("nvmf/io-connect-finds-no-controller");
      return answer(kInvalid, invalid_in_data(offsetof(ConnectData, cntlid)), nullptr, {});
    }
    // A controller waits for the registry before it goes, so it is still there when this message arrives.
    controller->reactor().post([controller, &queue, &shard, qid, host, answer] {
      if (controller->host() != host) return answer(kInvalid, invalid_in_data(offsetof(ConnectData, cntlid)), nullptr, {});
      uint32_t parameter = 0;
      const nvme::Status decided = controller->add_io_queue(qid, shard, queue, parameter);
      answer(decided, parameter, decided.ok() ? controller : nullptr,
             {.is_write_cache_enabled = controller->features().is_write_cache_enabled});
    });
  });
}

void Connector::joined(Queue& queue, Command& command, Controller& controller) {
  queue.controller_ = &controller;
  queue.join_account({controller.subsystem().index(), controller.cntlid()});
  if (queue.state_ == QueueState::kDetached) WEFT_PROBE("nvmf/connection-lost-during-connect");
  if (queue.state_ == QueueState::kConnecting) queue.state_ = QueueState::kLive;
  queue.complete(command, status::kSuccess, controller.cntlid());
}

}  // namespace weft::nvmf
