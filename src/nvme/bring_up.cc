// The controller's registers and admin commands: from reset to ready, who it is, what it has, and shutdown.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "nvme/controller.h"
#include "wire/print.h"
#include "wire/print_pcie.h"

namespace weft::nvme {
namespace {

constexpr uint32_t kEnabled = kCcEnable | kCcIoSqes64Bytes | kCcIoCqes16Bytes;  // MPS 0: pages of 4 KiB
constexpr uint32_t kEventsMax = 4;                                                // Asynchronous Event Requests held by the controller
constexpr Duration kReadyTimeUnit = milliseconds(500);                            // of CAP.TO and CRTO

}  // namespace

uint64_t Controller::read64(uint32_t offset) { return function_.read32(offset) | uint64_t{function_.read32(offset + 4)} << 32; }

void Controller::write64(uint32_t offset, uint64_t value) {
  function_.write32(offset, uint32_t(value));
  function_.write32(offset + 4, uint32_t(value >> 32));
}

Duration Controller::ready_time() {
  uint32_t units = cap_.timeout_500ms;
  if (cap_.has_ready_timeouts) units = std::max(units, bits<15, 0>(function_.read32(property::kCrto)));
  return kReadyTimeUnit * std::max(units, 1u);
}

/// What is there once and for all. The second time it only checks that the controller is still the same.
Controller::Done Controller::prepare() {
  const uint64_t raw = read64(property::kCap);
  if (uint32_t(raw) == kAllOnes) return fail(Errc::kNotFound, "the device is gone");
  const Cap cap = Cap::from_wire(raw);
  if (admin_) {
    if (cap.to_wire() != cap_.to_wire()) return fail(Errc::kUnsupported, "another controller has come up in its place");
    return {};
  }
  if (auto possible = check_capabilities(cap, function_.register_bytes()); !possible) return possible;
  cap_ = cap;
  auto identify_page = pci::DmaBuffer::allocate(function_, kIdentifySize, "what a controller says of itself");
  if (!identify_page) return std::unexpected(identify_page.error());
  auto memory = pci::DmaBuffer::allocate(function_, QueuePair::memory_bytes(AdminQueue::kEntries), "the admin queue");
  if (!memory) return std::unexpected(memory.error());
  auto vector = function_.open_vector(home_);
  if (!vector) return std::unexpected(vector.error());
  WEFT_ASSERT(*vector == AdminQueue::kVector);
  identify_page_ = std::move(*identify_page);
  admin_.emplace(home_, function_, doorbell_stride(cap_), std::move(*memory), [this](uint32_t dw0) { on_event(dw0); });
  return {};
}

Task<Controller::Done> Controller::bring_up() {
  Done done = prepare();
  if (!done) co_return done;
  done = co_await disable();
  if (!done) function_.isolate();  // whoever had it before left it in no good state; enable() says whether this helped
  done = co_await enable();
  if (!done) co_return done;
  done = co_await identify_controller();
  if (!done) co_return done;
  done = co_await set_up_queues();
  if (!done) co_return done;
  done = co_await read_namespaces();
  if (!done) co_return done;
  co_return co_await set_up_events();
}

/// CC.EN 1 to 0. Also from CSTS.RDY 0, for which §3.5.3 wants RDY to become 1 first.
Task<Controller::Done> Controller::disable() {
  const Cc cc{function_.read32(property::kCc)};
  const uint32_t csts = function_.read32(property::kCsts);
  if (csts == kAllOnes) co_return fail(Errc::kNotFound, "the device is gone");
  if (cc.en()) {
    if ((csts & (Csts::kRdy | Csts::kCfs)) == 0) {
      Done ready = co_await wait_for(Csts::kRdy, Csts::kRdy, ready_time());
      if (!ready && ready.error().code == Errc::kNotFound) co_return ready;
    }
    admin_->halt();
    function_.write32(property::kCc, cc.raw & ~(kCcEnable | kCcShutdownMask));
  }
  co_return co_await wait_for(Csts::kRdy, 0, ready_time());
}

Task<Controller::Done> Controller::enable() {
  admin_->reset();
  constexpr AdminQueueAttributes kAttributes{AdminQueue::kEntries, AdminQueue::kEntries};
  function_.write32(property::kAqa, kAttributes.to_wire());
  write64(property::kAsq, admin_->sq_iova());
  write64(property::kAcq, admin_->cq_iova());
  function_.publish();  // the queues are empty
  function_.write32(property::kCc, kEnabled);
  co_return co_await wait_for(Csts::kRdy, Csts::kRdy, ready_time());
}

Task<Controller::Done> Controller::shut_down() {
  const Duration time = facts_.shutdown_us == 0 ? options_.shutdown_time : microseconds(int64_t(facts_.shutdown_us));
  function_.write32(property::kCc, kEnabled | kCcShutdownNormal);
  Done done = co_await wait_for(Csts::kShstMask, Csts::kShstComplete, time);
  if (!done) co_return done;
  co_return co_await disable();
}

/// Until the bits of CSTS in `mask` are `wanted`.
Task<Controller::Done> Controller::wait_for(uint32_t mask, uint32_t wanted, Duration time) {
  const Instant deadline = home_.now() + time;
  while (true) {
    const uint32_t csts = function_.read32(property::kCsts);
    if (csts == kAllOnes) co_return fail(Errc::kNotFound, "the device is gone");
    if ((csts & mask) == wanted) co_return Done{};
    if (wanted == Csts::kRdy && (csts & Csts::kCfs) != 0) co_return fail(Errc::kIo, "controller fatal status instead of ready");
    if (home_.now() >= deadline) {
      co_return fail(Errc::kTimedOut, fmt::format("CSTS stays {} for {} ms", csts_to_text(csts), time.milliseconds()));
    }
    co_await Pause{home_, milliseconds(1)};
  }
}

/// One admin command; CDW0 of its completion. Errors: kTimedOut and kClosed when it was not answered, kIo with the status.
Task<Result<uint32_t>> Controller::run_admin(Sqe sqe) {
  Result<Completion> completion = co_await admin_->run(sqe, options_.admin_time);
  if (!completion) co_return std::unexpected(completion.error());
  if (!completion->status.ok()) {
    co_return fail(Errc::kIo, fmt::format("{}: {}", name_of(AdminOpcode(sqe.opcode)), to_text(completion->status)));
  }
  co_return completion->dw0;
}

/// Leaves the answer in the page.
Task<Controller::Done> Controller::identify(Cns cns, uint32_t nsid, uint8_t csi) {
  std::ranges::fill(identify_page_.bytes(), std::byte{0});
  Sqe sqe{};
  sqe.opcode = uint8_t(AdminOpcode::kIdentify);
  sqe.nsid = nsid;
  set_prps(sqe, {.prp1 = identify_page_.iova(), .prp2 = 0});
  sqe.cdw10 = uint32_t(cns);
  sqe.cdw11 = uint32_t{csi} << 24;
  Result<uint32_t> done = co_await run_admin(sqe);
  if (!done) co_return std::unexpected(done.error());
  co_return Done{};
}

Task<Controller::Done> Controller::identify_controller() {
  Done done = co_await identify(Cns::kController, 0, 0);
  if (!done) co_return done;
  const IdentifyController id = *view<IdentifyController>(identify_page_.bytes());
  const uint32_t version = function_.read32(property::kVs);
  bool has_nvm = false;
  if (version >= kVersion2_0) {
    done = co_await identify(Cns::kIocsController, 0, uint8_t(Csi::kNvm));
    if (!done && done.error().code != Errc::kIo) co_return done;
    has_nvm = done.has_value();
  }
  auto facts = facts_of(id, has_nvm ? view<NvmIdentifyController>(identify_page_.bytes()) : nullptr, version);
  if (!facts) co_return std::unexpected(facts.error());
  facts_ = std::move(*facts);
  co_return Done{};
}

/// How many I/O queues there may be, and where their doorbells are shadowed.
Task<Controller::Done> Controller::set_up_queues() {
  Sqe sqe{};
  sqe.opcode = uint8_t(AdminOpcode::kSetFeatures);
  sqe.cdw10 = uint32_t(Feature::kNumberOfQueues);
  sqe.cdw11 = NumberOfQueues{options_.io_queues, options_.io_queues}.to_wire();
  Result<uint32_t> granted = co_await run_admin(sqe);
  if (!granted) co_return std::unexpected(granted.error());
  const auto queues = NumberOfQueues::from_wire(*granted);
  queues_granted_ = std::min({queues.submission, queues.completion, options_.io_queues});

  const bool had_shadows = !shadows_.values.empty();
  if (!facts_.has_shadow_doorbells) {
    if (had_shadows) co_return fail(Errc::kUnsupported, "the controller has lost its shadow doorbells");
    co_return Done{};
  }
  if (!had_shadows) {
    auto pages = pci::DmaBuffer::allocate(function_, 2 * kPageBytes, "shadow doorbells");
    if (!pages) co_return std::unexpected(pages.error());
    shadow_pages_ = std::move(*pages);
    shadows_ = {shadow_pages_.bytes().first(kPageBytes), shadow_pages_.bytes().last(kPageBytes)};
  }
  std::ranges::fill(shadow_pages_.bytes(), std::byte{0});
  Sqe config{};
  config.opcode = uint8_t(kDoorbellBufferConfig);
  set_prps(config, {.prp1 = shadow_pages_.iova(), .prp2 = shadow_pages_.iova() + kPageBytes});
  Result<uint32_t> taken = co_await run_admin(config);
  if (!taken) co_return std::unexpected(taken.error());
  co_return Done{};
}

Task<Controller::Done> Controller::read_namespaces() {
  Done done = co_await identify(Cns::kActiveNamespaces, 0, 0);
  if (!done) co_return done;
  const NamespaceList active = *view<NamespaceList>(identify_page_.bytes());
  reading_ = {};
  for (const uint32_t nsid : active.nsid) {
    if (nsid == 0) break;
    done = co_await read_namespace(nsid);
    if (!done) co_return done;
  }
  namespaces_ = std::move(reading_);
  co_return Done{};
}

/// Adds it to those that can be used, or to the others.
Task<Controller::Done> Controller::read_namespace(uint32_t nsid) {
  Done done = co_await identify(Cns::kNamespace, nsid, 0);
  if (!done && done.error().code == Errc::kIo) co_return Done{};  // it went meanwhile
  if (!done) co_return done;
  const IdentifyNamespace id = *view<IdentifyNamespace>(identify_page_.bytes());
  done = co_await identify(Cns::kNamespaceDescriptors, nsid, 0);
  if (!done && done.error().code != Errc::kIo) co_return done;  // before 1.3 there are none
  const auto descriptors = done ? std::span<const std::byte>(identify_page_.bytes()) : std::span<const std::byte>();
  auto facts = facts_of(nsid, id, descriptors);
  if (facts) {
    reading_.usable.push_back(*facts);
  } else {
    reading_.refused.push_back({nsid, facts.error()});
    home_.log().warn("{}: {}", function_.name(), facts.error().what());
  }
  co_return Done{};
}

Task<Controller::Done> Controller::set_up_events() {
  if (facts_.has_namespace_events) {
    Sqe sqe{};
    sqe.opcode = uint8_t(AdminOpcode::kSetFeatures);
    sqe.cdw10 = uint32_t(Feature::kAsyncEventConfig);
    sqe.cdw11 = kOaesNamespaceAttribute;
    Result<uint32_t> set = co_await run_admin(sqe);
    if (!set) co_return std::unexpected(set.error());
  }
  for (uint32_t i = 0; i < std::min(facts_.async_events, kEventsMax); ++i) admin_->request_event();
  co_return Done{};
}

/// Reads the log, which lets the next event come, and then all of them: it may not have room for all that changed.
Task<Controller::Done> Controller::namespaces_changed() {
  Result<uint32_t> read = co_await get_log_page({LogPage::kChangedNamespaces, kNsidAll, sizeof(ChangedNamespaces)});
  if (!read) co_return std::unexpected(read.error());
  Done done = co_await read_namespaces();
  if (done) tell_changed();
  co_return done;
}

}  // namespace weft::nvme
