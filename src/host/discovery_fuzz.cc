// Discovery logs of a hostile target, read by the host as `weft discover` does: each Get Log Page is answered with the
// next bytes of the input. The read ends after a bounded number of commands with a log or with a reason, and what it
// gives can be shown. Input: | answer | … with answer
//   | what: 0..15 a failure, else bytes | length 1, times 8 bytes | bytes |
#include "fuzz/input.h"
#include "host/discovery.h"
#include "host/fake_target.h"
#include "wire/print.h"

#include <cstdint>

namespace {

using namespace weft;
using host::testing_support::FakeTarget;
using Hook = FakeTarget::Hook;

/// Header, entries in pieces of 4 KiB for the most records there can be, for each attempt, and one header more.
constexpr int kCommandsMax = host::kDiscoveryAttempts * (1 + int(host::kDiscoveryRecordsMax) / 4 + 1) + 1;

void check(const Result<host::DiscoveryLog>& log) {
  if (!log) {
    WEFT_ASSERT(!log.error().what().empty());
    return;
  }
  WEFT_ASSERT(log->entries.size() <= host::kDiscoveryRecordsMax);
  for (const auto& entry : log->entries) WEFT_ASSERT(!to_text(entry).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  testing_support::ManualClock clock;
  testing_support::NullSink sink;
  Reactor reactor{{}, clock, sink};
  FakeTarget target{reactor};
  target.identity.cntrltype = uint8_t(nvme::ControllerType::kDiscovery);
  host::Controller controller{reactor,
                              target,
                              {.endpoint = {.host = "::1", .port = 8009},
                               .subnqn = fabrics::kDiscoveryNqn,
                               .host = {},
                               .digests = {},
                               .keep_alive = Duration{}}};
  const auto connected = FakeTarget::run(reactor, clock, controller.connect());
  WEFT_ASSERT(connected && *connected);

  int commands = 0;
  target.hook = [&](uint16_t, host::Command& command, nvme::Cqe& cqe) {
    if (command.sqe.opcode != uint8_t(nvme::AdminOpcode::kGetLogPage)) return Hook::kPass;
    ++commands;
    const uint8_t what = input.byte();
    const size_t length = input.byte() * size_t{8};
    if (what > 0 && what < 16) {
      cqe.status = nvme::Status(nvme::StatusCodeType(what & 7), input.byte()).to_cqe();
    } else {
      copy_window(command.in, input.take(length), 0);
    }
    return Hook::kAnswered;
  };
  const auto log = FakeTarget::run(reactor, clock, host::read_discovery_log(controller));
  WEFT_ASSERT(log.has_value());  // it has ended
  WEFT_ASSERT(commands <= kCommandsMax);
  check(*log);
  return 0;
}
