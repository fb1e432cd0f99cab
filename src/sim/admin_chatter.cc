#include "sim/admin_chatter.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "wire/nvme/features.h"
#include "wire/print.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::sim {
namespace {

namespace status = nvme::status;
using nvme::AdminOpcode;

constexpr size_t kPageBytes = 4096;  // of a log page that is read

nvme::Sqe admin(AdminOpcode opcode, uint32_t cdw10, uint32_t cdw11) {
  nvme::Sqe sqe{};
  sqe.opcode = uint8_t(opcode);
  sqe.cdw10 = cdw10;
  sqe.cdw11 = cdw11;
  return sqe;
}

nvme::Sqe get_log(uint8_t page, uint32_t nsid) {
  nvme::Sqe sqe = admin(AdminOpcode::kGetLogPage, uint32_t{page} | uint32_t(kPageBytes / 4 - 1) << 16, 0);
  sqe.nsid = nsid;
  return sqe;
}

bool is_event_request(const nvme::Sqe& sqe) { return sqe.opcode == uint8_t(AdminOpcode::kAsyncEventRequest); }

}  // namespace

class AdminChatter::Call final : public host::Command {
 public:
  explicit Call(AdminChatter& chatter) : chatter_(chatter) {}
  void on_completed(const nvme::Cqe& cqe) override {
    is_outstanding = false;
    chatter_.answered(*this, cqe);
  }
  bool is_outstanding = false;
  bool is_for_event = false;  // reads the log page of an event
  bool may_be_aborted = false;
  std::vector<std::byte> data;

 private:
  AdminChatter& chatter_;
};

AdminChatter::AdminChatter(host::Controller& controller, Events events) : controller_(controller), events_(std::move(events)) {}
AdminChatter::~AdminChatter() { WEFT_ASSERT(outstanding_ == 0 && waiting_events_ == 0); }

/// Null when there is no room.
AdminChatter::Call* AdminChatter::start_call(const nvme::Sqe& sqe, size_t in_bytes) {
  if (!is_running_ || !controller_.admin_queue().has_room()) return nullptr;
  const auto found = std::ranges::find_if(calls_, [](const auto& call) { return !call->is_outstanding; });
  if (found == calls_.end() && calls_.size() == kCallsMax + kEventsMax) return nullptr;
  if (!is_event_request(sqe) && outstanding_ == kCallsMax) return nullptr;
  Call& call = found != calls_.end() ? **found : *calls_.emplace_back(std::make_unique<Call>(*this));
  call.sqe = sqe;
  call.data.assign(in_bytes, std::byte{0});
  call.in = call.data;
  call.is_outstanding = true;
  call.is_for_event = call.may_be_aborted = false;
  is_event_request(sqe) ? ++waiting_events_ : ++outstanding_;
  controller_.admin_queue().submit(call);
  return &call;
}

void AdminChatter::start(bool is_write_cache_enabled) {
  is_running_ = true;
  const nvme::IdentifyController& identity = controller_.identity();
  if (!is_write_cache_enabled && (identity.vwc & 1) != 0) start_call(admin(AdminOpcode::kSetFeatures, uint32_t(nvme::Feature::kVolatileWriteCache), 0), 0);
  start_call(admin(AdminOpcode::kSetFeatures, uint32_t(nvme::Feature::kAsyncEventConfig), identity.oaes), 0);
  const size_t requests = std::min<size_t>(kEventsMax, size_t{identity.aerl} + 1);
  for (size_t i = 0; i < requests; ++i) wait_for_event();
}

void AdminChatter::wait_for_event() { start_call(admin(AdminOpcode::kAsyncEventRequest, 0, 0), 0); }

void AdminChatter::identify(uint32_t nsid) {
  nvme::Sqe sqe = admin(AdminOpcode::kIdentify, uint32_t(nvme::Cns::kNamespace), 0);
  sqe.nsid = nsid;
  start_call(sqe, nvme::kIdentifySize);
}

void AdminChatter::ask_something(Prng& prng, uint32_t nsid) {
  switch (prng.below(7)) {
    case 6: return abort_event_request();
    case 0: return identify(nsid);
    case 1: start_call(admin(AdminOpcode::kIdentify, uint32_t(nvme::Cns::kController), 0), nvme::kIdentifySize); return;
    case 2: start_call(admin(AdminOpcode::kIdentify, uint32_t(nvme::Cns::kActiveNamespaces), 0), nvme::kIdentifySize); return;
    case 3: start_call(get_log(uint8_t(nvme::LogPage::kSmart), nvme::kNsidAll), kPageBytes); return;
    case 4: start_call(get_log(uint8_t(nvme::LogPage::kError), nvme::kNsidAll), kPageBytes); return;
    default: start_call(get_log(uint8_t(nvme::LogPage::kChangedNamespaces), nvme::kNsidAll), kPageBytes); return;
  }
}

void AdminChatter::abort_event_request() {
  const auto found = std::ranges::find_if(calls_, [](const auto& call) { return call->is_outstanding && is_event_request(call->sqe); });
  if (found == calls_.end() || aborts_outstanding() > controller_.identity().acl) return;
  Call& request = **found;
  if (start_call(admin(AdminOpcode::kAbort, uint32_t{request.sqe.cid} << 16, 0), 0) != nullptr) request.may_be_aborted = true;
}

size_t AdminChatter::aborts_outstanding() const {
  const auto is_abort = [](const auto& call) { return call->is_outstanding && call->sqe.opcode == uint8_t(AdminOpcode::kAbort); };
  return size_t(std::ranges::count_if(calls_, is_abort));
}

void AdminChatter::abort(IoCommand& command, uint16_t qid, size_t half) {
  const uint32_t target = uint32_t{qid} | uint32_t{command.cid(half)} << 16;
  if (aborts_outstanding() > controller_.identity().acl) return;
  if (start_call(admin(AdminOpcode::kAbort, target, 0), 0) != nullptr) command.expect_abort();
}

bool AdminChatter::is_aborting(uint16_t qid, uint16_t cid) const {
  return std::ranges::any_of(calls_, [&](const auto& call) {
    return call->is_outstanding && call->sqe.opcode == uint8_t(AdminOpcode::kAbort) &&
           uint32_t{call->sqe.cdw10} == (uint32_t{qid} | uint32_t{cid} << 16);
  });
}

void AdminChatter::answered(Call& call, const nvme::Cqe& cqe) {
  const bool is_event = is_event_request(call.sqe);
  is_event ? --waiting_events_ : --outstanding_;
  const nvme::Status status = cqe.decoded_status();
  if (status.is(status::kAbortedByHost)) return events_.on_lost();
  events_.on_answered();
  if (!status.ok()) {
    // A shutdown, and no other command of ours, ends the requests that wait for events.
    if (is_event && !is_running_ && status.is(status::kAbortedSqDeleted)) return;
    if (is_event && call.may_be_aborted && status.is(status::kAbortRequested)) return wait_for_event();
    // An Identify of a namespace may come too late for it.
    if (call.sqe.opcode == uint8_t(AdminOpcode::kIdentify) && status.is(status::kInvalidNamespace)) return;
    return events_.on_wrong(fmt::format("admin command {:02x}h (CDW10 {:08x}h) failed: {}", call.sqe.opcode, uint32_t{call.sqe.cdw10},
                                        nvme::to_text(status)));
  }
  if (is_event) return event(cqe);
  if (call.sqe.opcode == uint8_t(AdminOpcode::kSetFeatures) && uint32_t{call.sqe.cdw10} == uint32_t(nvme::Feature::kVolatileWriteCache)) {
    is_cache_off_ = true;
  }
  if (call.is_for_event) return wait_for_event();
  const bool is_namespace = call.sqe.opcode == uint8_t(AdminOpcode::kIdentify) &&
                            uint32_t{call.sqe.cdw10} == uint32_t(nvme::Cns::kNamespace);
  if (is_namespace) events_.on_namespace(call.sqe.nsid, *view<nvme::IdentifyNamespace>(call.data));
}

/// The page is read, which clears the event; only then is the next one asked for, as Linux does.
void AdminChatter::event(const nvme::Cqe& cqe) {
  const uint8_t page = uint8_t(bits<23, 16>(uint32_t{cqe.dw0}));
  if (page == 0) return events_.on_wrong(fmt::format("an asynchronous event without a log page ({:08x}h)", uint32_t{cqe.dw0}));
  if (Call* call = start_call(get_log(page, nvme::kNsidAll), kPageBytes)) {
    call->is_for_event = true;
  } else {
    wait_for_event();
  }
}

}  // namespace weft::sim
