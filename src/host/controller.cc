// Connecting and shutting down. The admin commands are in controller_admin.cc.
#include "host/controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bits.h"
#include "base/bytes.h"
#include "host/exchange.h"
#include "host/keep_alive.h"
#include "host/connect_failure.h"
#include "wire/nvme/features.h"
#include "wire/nvme/registers.h"
#include "wire/text_field.h"

namespace weft::host {
namespace {

constexpr uint32_t kCcEnable = 6u << 16 | 4u << 20;  // IOSQES 64 bytes, IOCQES 16 bytes; CSS, MPS, AMS 0
constexpr uint32_t kCcEn = 1;
constexpr uint32_t kCcShnNormal = 1u << 14;
constexpr Duration kReadyPollMin = milliseconds(1);
constexpr Duration kReadyPollMax = milliseconds(100);
constexpr uint16_t kSqhdFlowControlOff = 0xffff;  // in a Connect response: the controller agrees to no SQ flow control
constexpr size_t kCapsuleSqeUnits = sizeof(nvme::Sqe) / nvme::kCapsuleUnit;

/// CAP.TO: how long until RDY changes at most.
Duration ready_timeout(uint64_t cap) { return milliseconds((int64_t(bits<31, 24>(cap)) + 1) * 500); }

}  // namespace

Controller::Controller(Reactor& reactor, Transport& transport, ConnectOptions options)
    : reactor_(reactor),
      transport_(transport),
      options_(std::move(options)),
      admin_(reactor, [this](const Error& reason) { on_queue_closed(reason); }),
      identity_(std::make_unique<nvme::IdentifyController>()) {}

Controller::~Controller() {
  io_queues_.clear();
  admin_.destroy();  // ends its commands, the keep-alive's too
  keep_alive_.reset();
}

bool Controller::is_discovery() const { return options_.subnqn == fabrics::kDiscoveryNqn; }

Error Controller::error(Errc code, std::string_view what) const {
  return {code, fmt::format("{}:{}: {}", options_.endpoint.host, options_.endpoint.port, what)};
}

void Controller::on_io_queue_closed(const Error& reason) {
  if (!is_shutting_down_) on_queue_closed(reason);
}

void Controller::on_queue_closed(const Error& reason) {
  if (failure_) return;
  failure_ = reason;
  close_all(reason);  // one queue lost is the association lost, as for a Linux host
}

void Controller::close_all(const Error& reason) {
  for (auto& queue : io_queues_) queue->close(reason);
  admin_.close(reason);
}

Task<Result<void>> Controller::connect() {
  const QueueOptions admin{.kind = QueueKind::kAdmin, .entries = kAdminEntries, .in_capsule_bytes = 0, .digests = options_.digests};
  if (auto done = co_await open(admin_, admin); !done) co_return done;
  if (auto done = co_await connect_queue(admin_, 0, kAdminEntries); !done) co_return done;
  if (auto done = co_await enable(); !done) co_return done;
  if (auto done = co_await identify_controller(); !done) co_return done;
  if (options_.keep_alive > Duration{}) keep_alive_ = std::make_unique<KeepAlive>(reactor_, admin_.queue(), options_.keep_alive);
  if (options_.io_queues > 0) {
    if (auto done = co_await open_io_queues(); !done) co_return done;
  }
  co_return Result<void>{};
}

Task<Result<void>> Controller::open(ManagedQueue& queue, QueueOptions options) {
  if (auto started = queue.start(transport_, options_.endpoint, options); !started) {
    co_return std::unexpected(error(started.error().code, fmt::format("cannot connect: {}", started.error().what())));
  }
  co_await queue.opened(options_.timeout);
  if (queue.end() != nullptr) co_return std::unexpected(error(queue.end()->code, fmt::format("cannot connect: {}", queue.end()->what())));
  co_return Result<void>{};
}

Task<Result<void>> Controller::connect_queue(ManagedQueue& queue, uint16_t qid, uint16_t entries) {
  fabrics::ConnectSqe sqe{};
  sqe.opcode = nvme::kFabricsOpcode;
  sqe.fctype = uint8_t(fabrics::Fctype::kConnect);
  sqe.qid = qid;
  sqe.sqsize = uint16_t(entries - 1);
  sqe.cattr = options_.sq_flow == SqFlow::kDisabled ? fabrics::kCattrDisableSqFlowControl : uint8_t{0};
  sqe.kato = qid == 0 ? uint32_t(options_.keep_alive.milliseconds()) : 0;
  fabrics::ConnectData data{};
  std::memcpy(data.hostid.data(), options_.host.id.bytes.data(), data.hostid.size());
  data.cntlid = qid == 0 ? fabrics::kCntlidDynamic : cntlid_;
  set_nul_padded(data.subnqn, options_.subnqn);
  set_nul_padded(data.hostnqn, options_.host.nqn);

  const std::string what = qid == 0 ? std::string{"Connect"} : fmt::format("Connect of I/O queue {}", qid);
  Exchange exchange{reactor_, queue.queue(), options_.timeout, what.c_str()};
  exchange.sqe = std::bit_cast<nvme::Sqe>(sqe);
  exchange.out = bytes_of(data);
  const auto cqe = co_await exchange;
  if (failure_) co_return std::unexpected(error(failure_->code, fmt::format("{}: {}", what, failure_->what())));
  if (!cqe) co_return std::unexpected(error(Errc::kClosed, fmt::format("{}: the queue is closed", what)));
  if (!cqe->decoded_status().ok()) {
    co_return std::unexpected(error(Errc::kDenied, fmt::format("{}: {}", what, connect_failure_text(*cqe, options_.subnqn, options_.host.nqn))));
  }
  const uint32_t dw0 = cqe->dw0;
  if (bits<18, 17>(dw0) != 0) co_return std::unexpected(error(Errc::kUnsupported, fmt::format("{}: the target wants authentication", what)));
  if (qid == 0) cntlid_ = uint16_t(dw0);
  if (cntlid_ == 0 || cntlid_ > fabrics::kCntlidMax) {
    co_return std::unexpected(error(Errc::kInvalid, fmt::format("{}: controller ID {:04x}h is out of range", what, cntlid_)));
  }
  if (options_.sq_flow == SqFlow::kDisabled && uint16_t{cqe->sqhd} == kSqhdFlowControlOff) queue.queue().disable_flow_control();
  co_return Result<void>{};
}

Task<Result<void>> Controller::enable() {
  auto cap = co_await property(nvme::property::kCap, 8);
  if (!cap) co_return std::unexpected(cap.error());
  cap_ = *cap;
  if (bits<51, 48>(cap_) != 0) co_return std::unexpected(error(Errc::kUnsupported, "the controller's smallest page is above 4 KiB (CAP.MPSMIN)"));
  if (auto done = co_await set_property(nvme::property::kCc, kCcEnable); !done) co_return done;
  if (auto done = co_await wait_ready(false); !done) co_return done;
  if (auto done = co_await set_property(nvme::property::kCc, kCcEnable | kCcEn); !done) co_return done;
  if (auto done = co_await wait_ready(true); !done) co_return done;
  auto version = co_await property(nvme::property::kVs, 4);
  if (!version) co_return std::unexpected(version.error());
  version_ = uint32_t(*version);
  co_return Result<void>{};
}

Task<Result<void>> Controller::wait_ready(bool is_ready) {
  const Instant deadline = reactor_.now() + ready_timeout(cap_);
  for (Duration poll = kReadyPollMin;; poll = std::min(poll * 2, kReadyPollMax)) {
    const auto csts = co_await property(nvme::property::kCsts, 4);
    if (!csts) co_return std::unexpected(csts.error());
    const auto value = uint32_t(*csts);
    if (value == ~0u || (value & nvme::Csts::kCfs) != 0) {
      co_return std::unexpected(error(Errc::kIo, fmt::format("the controller reports a fatal state (CSTS {:08x}h)", value)));
    }
    if (((value & nvme::Csts::kRdy) != 0) == is_ready) co_return Result<void>{};
    if (reactor_.now() >= deadline) {
      co_return std::unexpected(error(Errc::kTimedOut, fmt::format("the controller did not become {} within {} ms (CSTS {:08x}h)", is_ready ? "ready" : "idle",
                                                                   ready_timeout(cap_).milliseconds(), value)));
    }
    co_await Pause{reactor_, poll};
  }
}

Task<Result<void>> Controller::identify_controller() {
  const std::span<std::byte> buffer{reinterpret_cast<std::byte*>(identity_.get()), sizeof *identity_};
  if (auto done = co_await identify({.cns = nvme::Cns::kController}, buffer); !done) co_return done;
  co_return check_identity();
}

/// What a Linux host checks before it goes on. fabrics.c, core.c and tcp.c of Linux.
Result<void> Controller::check_identity() const {
  const nvme::IdentifyController& id = *identity_;
  if (uint16_t{id.cntlid} != cntlid_) {
    return std::unexpected(error(Errc::kInvalid, fmt::format("controller ID is {:04x}h in Connect and {:04x}h in Identify", cntlid_, uint16_t{id.cntlid})));
  }
  if (is_discovery()) {
    if (id.cntrltype != uint8_t(nvme::ControllerType::kDiscovery)) return std::unexpected(error(Errc::kInvalid, "this is not a discovery controller"));
    return {};
  }
  if (uint16_t{id.kas} == 0) return std::unexpected(error(Errc::kInvalid, "the controller has no keep-alive (KAS is 0)"));
  if (id.ioccsz < kCapsuleSqeUnits) return std::unexpected(error(Errc::kInvalid, fmt::format("IOCCSZ {} is below 4", uint32_t{id.ioccsz})));
  if (id.iorcsz < 1u) return std::unexpected(error(Errc::kInvalid, "IORCSZ is 0"));
  if (uint16_t{id.icdoff} != 0) return std::unexpected(error(Errc::kUnsupported, fmt::format("ICDOFF {} where 0 is due", uint16_t{id.icdoff})));
  if ((id.sgls & 3u) == 0) return std::unexpected(error(Errc::kInvalid, "the controller supports no SGLs"));
  return {};
}

Task<Result<void>> Controller::open_io_queues() {
  Call call{.what = "Set Features Number of Queues"};
  call.sqe.opcode = uint8_t(nvme::AdminOpcode::kSetFeatures);
  call.sqe.cdw10 = uint32_t(nvme::Feature::kNumberOfQueues);
  call.sqe.cdw11 = nvme::NumberOfQueues{options_.io_queues, options_.io_queues}.to_wire();
  const auto cqe = co_await execute(call);
  if (!cqe) co_return std::unexpected(cqe.error());
  const auto granted = nvme::NumberOfQueues::from_wire(cqe->dw0);
  const auto count = uint16_t(std::min({granted.submission, granted.completion, uint32_t{options_.io_queues}}));

  const uint32_t capsule_units = identity_->ioccsz;
  const uint32_t mqes = uint32_t(bits<15, 0>(cap_)) + 1;
  const uint32_t maxcmd = uint16_t{identity_->maxcmd} == 0 ? mqes : uint32_t{identity_->maxcmd};
  queue_entries_ = uint16_t(std::min({uint32_t{options_.queue_entries}, mqes, maxcmd, uint32_t{kQueueEntriesMax}}));
  if (queue_entries_ < 2) co_return std::unexpected(error(Errc::kInvalid, "the controller's queues have fewer than 2 entries (CAP.MQES, MAXCMD)"));
  QueueOptions queue{.kind = QueueKind::kIo,
                     .cntlid = cntlid_,
                     .entries = queue_entries_,
                     .in_capsule_bytes = uint32_t((capsule_units - kCapsuleSqeUnits) * nvme::kCapsuleUnit),
                     .descriptors_max = std::max<uint16_t>(identity_->msdbd, 1),
                     .digests = options_.digests};
  for (uint16_t qid = 1; qid <= count; ++qid) {
    queue.qid = qid;
    io_queues_.push_back(std::make_unique<ManagedQueue>(reactor_, [this](const Error& reason) { on_io_queue_closed(reason); }));
    ManagedQueue& added = *io_queues_.back();
    if (auto done = co_await open(added, queue); !done) co_return done;
    if (auto done = co_await connect_queue(added, qid, queue_entries_); !done) co_return done;
  }
  co_return Result<void>{};
}

Task<Result<void>> Controller::shutdown() {
  if (failure_) co_return std::unexpected(error(failure_->code, failure_->what()));
  is_shutting_down_ = true;
  for (auto& queue : io_queues_) queue->close(Error{Errc::kClosed, "closed by this host"});  // first, as a Linux host does
  Result<void> result = co_await set_property(nvme::property::kCc, kCcEnable | kCcEn | kCcShnNormal);
  const Instant deadline = reactor_.now() + options_.timeout;
  while (result) {
    const auto csts = co_await property(nvme::property::kCsts, 4);
    if (!csts) result = std::unexpected(csts.error());
    if (!csts || (*csts & nvme::Csts::kShstMask) == nvme::Csts::kShstComplete) break;
    if (reactor_.now() >= deadline) result = std::unexpected(error(Errc::kTimedOut, "the controller did not finish its shutdown in time"));
    co_await Pause{reactor_, kReadyPollMin * 5};
  }
  if (keep_alive_ != nullptr) keep_alive_->stop();  // its command may still be outstanding
  close_all(Error{Errc::kClosed, "closed by this host"});
  co_return result;
}

uint64_t Controller::transfer_max() const {
  constexpr uint64_t kUnlimited = uint64_t{1} << 31;
  return identity_->mdts == 0 || identity_->mdts > 19 ? kUnlimited : uint64_t{4096} << identity_->mdts;
}

}  // namespace weft::host
