// A hostile target at the level of commands against the initiator: it answers any command of any queue with statuses,
// values, data and silences of the input, or cuts the queue, while the host connects, reads what the tools read, does
// verified I/O and shuts down. Every task ends in bounded time with a result or a reason, and what the host has
// believed keeps the rules it checks. Input: | limits 1 | answer | … with answer, for each command,
//   | what | values, by what |
#include "fuzz/input.h"
#include "host/controller.h"
#include "host/discovery.h"
#include "host/fake_target.h"
#include "host/workload.h"
#include "wire/print.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

namespace {

using namespace weft;
using host::testing_support::FakeTarget;
using Hook = FakeTarget::Hook;

constexpr uint16_t kIoQueues = 3;
constexpr uint16_t kQueueEntries = 32;
constexpr Duration kTimeout = milliseconds(40);  // of one step of the host
/// Beyond the longest wait there is, for CSTS.RDY: CAP.TO is up to 128 s.
constexpr Duration kLongest = seconds(300);

class World {
 public:
  World(fuzz::Input& input, bool is_discovery)
      : input_(input),
        controller_(reactor_, target_,
                    {.endpoint = {.host = "::1", .port = 4420},
                     .subnqn = is_discovery ? fabrics::kDiscoveryNqn : "nqn.2026-01.test:weft",
                     .host = {},
                     .digests = {},
                     .io_queues = is_discovery ? uint16_t{0} : kIoQueues,
                     .queue_entries = kQueueEntries,
                     .keep_alive = milliseconds(100),
                     .timeout = kTimeout}) {
    if (is_discovery) target_.identity.cntrltype = uint8_t(nvme::ControllerType::kDiscovery);
    target_.ready_after_polls = 1;
    target_.hook = [this](uint16_t qid, host::Command& command, nvme::Cqe& cqe) { return answer(qid, command, cqe); };
  }

  void run(bool is_discovery) {
    const auto connected = finish(controller_.connect());
    check(connected);
    if (!connected) return;
    WEFT_ASSERT(controller_.cntlid() > 0 && controller_.cntlid() <= fabrics::kCntlidMax);
    WEFT_ASSERT(controller_.io_queue_count() <= kIoQueues);
    WEFT_ASSERT(controller_.io_queue_count() == 0 || controller_.queue_entries() >= 2);
    WEFT_ASSERT(controller_.queue_entries() <= kQueueEntries);
    WEFT_ASSERT(controller_.transfer_max() >= 4096);
    WEFT_ASSERT(!to_text(controller_.identity()).empty());
    read_namespace();
    if (is_discovery) check(finish(host::read_discovery_log(controller_)));
    if (controller_.io_queue_count() > 0) do_io();
    check(finish(controller_.shutdown()));
  }

 private:
  template <typename T>
  T finish(Task<T> task) {
    constexpr Duration kStep = milliseconds(5);
    task.start({});
    for (Duration passed{}; !task.is_done(); passed = passed + kStep) {
      WEFT_ASSERT(passed < kLongest);
      while (!task.is_done() && reactor_.run_once() == Reactor::Turn::kWorked) {
      }
      clock_.advance(kStep);
    }
    return task.take();
  }
  template <typename T>
  static void check(const Result<T>& result) {
    if (!result) WEFT_ASSERT(!result.error().what().empty());
  }

  void read_namespace() {
    alignas(8) std::array<std::byte, nvme::kIdentifySize> page{};
    check(finish(controller_.identify({.cns = nvme::Cns::kNamespace, .nsid = 1}, page)));
    WEFT_ASSERT(!nvme::to_text(*view<nvme::IdentifyNamespace>(page)).empty());
    check(finish(controller_.read_log({.page = nvme::LogPage::kSmart, .nsid = nvme::kNsidAll},
                                      std::span(page).first(sizeof(nvme::SmartLog)))));
    WEFT_ASSERT(!nvme::to_text(*view<nvme::SmartLog>(page)).empty());
  }
  void do_io() {
    constexpr uint64_t kIos = 24;
    auto workload = host::Workload::create(reactor_, controller_, {.lbas = 256},
                                           {.pattern = host::Pattern::kRandRw,
                                            .queue_depth = 2,
                                            .time = Duration{},
                                            .io_count = kIos,
                                            .verify = host::Verify::kYes,
                                            .io_timeout = kTimeout});
    check(workload);
    if (!workload) return;
    const host::WorkloadReport report = finish((*workload)->run());
    WEFT_ASSERT(report.reads.ios + report.writes.ios <= kIos);
    WEFT_ASSERT((report.io_errors + report.verify_errors == 0) || !report.first_error.empty());
  }

  /// | what 2:0, of the bytes 3 |
  Hook answer(uint16_t qid, host::Command& command, nvme::Cqe& cqe) {
    if (input_.is_empty()) return Hook::kPass;
    const uint8_t what = input_.byte();
    switch (what & 7) {
      case 1:
        cqe.status = input_.get<le16>() & uint16_t{0xfffe};
        cqe.dw0 = input_.get<le32>();
        return Hook::kAnswered;
      case 2:
        cqe.dw0 = input_.get<le32>();
        cqe.dw1 = input_.get<le32>();
        if ((what & 8) != 0) cqe.sqhd = input_.get<le16>();
        return Hook::kAnswered;
      case 3:
        return bend_data(command) ? Hook::kAnswered : Hook::kPass;
      case 4:
        return Hook::kSwallow;
      case 5:
        target_.cut(qid, "cut");  // the queues open in the order of their IDs
        return Hook::kSwallow;
      case 6:
        target_.cap = uint64_t{input_.get<le64>()};
        target_.queues_granted = input_.get<le16>();
        return Hook::kPass;
      default:
        return Hook::kPass;
    }
  }
  /// Some bytes of the controller's identity, or of what else is read, from the input.
  bool bend_data(host::Command& command) {
    const size_t offset = uint16_t{input_.get<le16>()};
    const auto bytes = input_.take(input_.byte());
    if (command.in.empty()) return false;
    if (command.sqe.opcode == uint8_t(nvme::AdminOpcode::kIdentify) && command.in.size() == sizeof target_.identity)
      std::memcpy(command.in.data(), &target_.identity, command.in.size());
    const size_t from = offset % command.in.size();
    const size_t count = std::min(bytes.size(), command.in.size() - from);
    if (count > 0) std::memcpy(command.in.data() + from, bytes.data(), count);
    return true;
  }

  fuzz::Input& input_;
  testing_support::ManualClock clock_;
  testing_support::NullSink sink_;
  Reactor reactor_{{}, clock_, sink_};
  FakeTarget target_{reactor_};
  host::Controller controller_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const bool is_discovery = (input.byte() & 1) != 0;
  World(input, is_discovery).run(is_discovery);
  return 0;
}
