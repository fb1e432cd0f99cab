// The checkers against the real target: a host's bytes by hand, legal to the last, so that whatever is found is the
// target's. Without a planted bug nothing is found; with one, its checker finds it. Some of these bugs need a host that
// ours are not (one that sends no Keep Alive, or its data late), so no simulated world would reach them.
#include "sim/checkers/association_checker.h"
#include "sim/checkers/keep_alive_checker.h"
#include "sim/checkers/limits_checker.h"
#include "sim/checkers/wire_rule.h"
#include "sim/marks.h"
#include "wire/nvme/registers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using namespace testing;  // NOLINT: the folder's own test kit
using ::testing::StartsWith;

/// Switches a planted bug on while it lives.
class Planted {
 public:
  explicit Planted(std::string_view name) {
    for (Mark* mark : marks(Mark::Kind::kPlant)) {
      if (mark->name() == name) mark_ = mark;
    }
    if (mark_ != nullptr) mark_->turn(true);
  }
  ~Planted() {
    if (mark_ != nullptr) mark_->turn(false);
  }
  bool is_there() const { return mark_ != nullptr; }

 private:
  Mark* mark_ = nullptr;
};

struct Checked : Watched {
  Checked() {
    for (WireEvents* checker : std::initializer_list<WireEvents*>{&keep_alive, &associations, &limits})
      watch.add(*checker);
    limits.set(0, tcp::testing::small_limits());
  }
  KeepAliveChecker keep_alive{referee};
  AssociationChecker associations{referee};
  LimitsChecker limits{referee};
};

/// A connection to the target, with the tap between.
class Call {
 public:
  Call(tcp::testing::TestTarget& target, Checked& checked, const LineOptions& options)
      : line(checked.watch, options), target_(target), peer_(target, options.peer) {}
  ~Call() {
    peer_.hang_up();
    listen();
  }

  /// What the target answers.
  Bytes say(const Bytes& bytes) {
    line.now = target_.clock.now();
    line.host(bytes);
    peer_.send(bytes);
    return listen();
  }
  Bytes say_spoiled(const Bytes& bytes, size_t offset) {
    line.now = target_.clock.now();
    line.sent(Side::kHost, bytes);
    line.received(Side::kTarget, changed(bytes, offset));
    peer_.send(changed(bytes, offset));
    return listen();
  }
  Bytes listen() {
    line.now = target_.clock.now();
    const Bytes heard = peer_.take();
    if (!heard.empty()) line.target(heard);
    if (peer_.is_closed && !std::exchange(is_told_, true)) line.close();
    return heard;
  }
  void settle() {
    peer_.advance({});
    listen();
  }
  /// ICReq to the answer of Connect; the controller's ID.
  uint16_t open() {
    say(line.ic_req());
    const Bytes answer = say(line.connect(0));
    const auto completion = tcp::testing::completion_of(answer);
    return completion ? uint16_t(completion->dw0) : 0;
  }
  static uint16_t ttag_of(const Bytes& r2t) { return view<tcp::R2t>(r2t)->ttag; }

  Line line;

 private:
  tcp::testing::TestTarget& target_;
  tcp::testing::TestPeer peer_;
  bool is_told_ = false;
};

/// A host with one I/O queue.
class Stage {
 public:
  explicit Stage(const LineOptions& options) : admin(target, checked, admin_options(options)) {
    LineOptions io_options = options;
    io_options.cntlid = admin.open();
    admin.say(tcp::testing::property_set(1, nvme::property::kCc, 0x00460001, options.peer));
    io.emplace(target, checked, io_options);
    io->open();
  }
  ~Stage() {
    io.reset();
    target.run();
  }
  /// Time goes on in steps of 10 ms, and everyone who looks at it looks.
  void wait(Duration time) {
    for (Duration passed{}; passed < time; passed = passed + milliseconds(10)) {
      target.advance(milliseconds(10));
      for (const std::string& line : std::exchange(target.sink.lines, {}))
        checked.keep_alive.on_log(0, line, target.clock.now());
      if (!checked.finding().empty()) return;
      admin.settle();
      io->settle();
      checked.keep_alive.check(target.clock.now());
      checked.associations.check(target.clock.now());
    }
  }
  /// A write of 4096 bytes to a namespace; its data comes `data_delay` after it was asked for.
  void write(uint32_t nsid, Duration data_delay) {
    nvme::Sqe sqe = Line::io(nvme::IoOpcode::kWrite, 7, 8, kTransport);
    sqe.nsid = nsid;
    const Bytes r2t = io->say(io->line.capsule(sqe));
    if (data_delay > Duration{}) wait(data_delay);
    if (r2t.size() < sizeof(tcp::R2t) || !checked.finding().empty()) return;
    io->say(io->line.h2c(7, Call::ttag_of(r2t), 0, 2048, 0));
    io->say(io->line.h2c(7, Call::ttag_of(r2t), 2048, 2048, kLast));
  }
  static LineOptions admin_options(LineOptions options) {
    options.qid = 0;
    options.sqsize = 31;
    return options;
  }

  Checked checked;
  tcp::testing::TestTarget target{tcp::testing::small_limits()};
  Call admin;
  std::optional<Call> io;
};

using Play = std::function<void(Stage&)>;

void read_something(Stage& stage) { stage.io->say(stage.io->line.read(1, 8)); }
void write_something(Stage& stage) { stage.write(1, {}); }
void spoil_in_capsule_data(Stage& stage) { stage.io->say_spoiled(stage.io->line.write_in_capsule(1, 8), 500); }
void spoil_a_header(Stage& stage) { stage.io->say_spoiled(stage.io->line.flush(1), 8 + 50); }
void be_silent(Stage& stage) { stage.wait(seconds(3)); }
void use_the_io_queue_only(Stage& stage) {
  for (int i = 0; i < 8; ++i) {
    stage.io->say(stage.io->line.flush(1));
    stage.wait(milliseconds(400));
    if (!stage.checked.finding().empty()) return;
  }
}
/// The device takes a second, and the data comes late: for long nothing is received but data.
void write_slowly(Stage& stage) {
  stage.write(2, milliseconds(900));
  be_silent(stage);
}
/// The completion comes a second after the command.
void wait_for_a_completion(Stage& stage) {
  stage.write(2, {});
  be_silent(stage);
}

struct Proof {
  const char* plant;
  const char* checker;
  Play play;
  LineOptions options{};
};

constexpr uint32_t kKato = 1000;
const Proof kProofs[] = {
    {"c2h-last-missing", "wire", read_something},
    {"completion-twice", "completion", read_something},
    {"data-digest-unchecked", "wire", spoil_in_capsule_data, {.peer = kDigests}},
    {"header-digest-unchecked", "completion", spoil_a_header, {.peer = kDigests}},
    {"io-queue-outlives-association", "association", be_silent, {.kato_ms = kKato}},
    {"keep-alive-deaf-to-completions", "keep-alive", wait_for_a_completion, {.kato_ms = kKato}},
    {"keep-alive-deaf-to-io-queues", "keep-alive", use_the_io_queue_only, {.kato_ms = kKato}},
    {"keep-alive-fed-by-data", "keep-alive", write_slowly, {.kato_ms = kKato}},
    {"keep-alive-impatient", "keep-alive", be_silent, {.kato_ms = kKato}},
    {"keep-alive-patient", "keep-alive", be_silent, {.kato_ms = kKato}},
    {"maxh2cdata-above-limit", "limits", read_something},
    {"phase-bit-set", "completion", read_something},
    {"r2t-length-off-by-one", "wire", write_something},
    {"r2t-sent-twice", "wire", write_something},
    {"response-after-success-flag", "completion", read_something, {.is_flow_controlled = false}},
    {"sqhd-stuck", "completion", read_something},
    {"success-flag-with-flow-control", "wire", read_something},
    {"write-done-at-first-data", "wire", write_something},
};

class PlantedBug : public ::testing::TestWithParam<Proof> {};

TEST_P(PlantedBug, WithoutItTheTargetBreaksNoRule) {
  Stage stage(GetParam().options);
  GetParam().play(stage);
  EXPECT_EQ(stage.checked.finding(), "");
}

TEST_P(PlantedBug, IsFoundByItsChecker) {
  const Planted planted(GetParam().plant);
  ASSERT_TRUE(planted.is_there());
  Stage stage(GetParam().options);
  GetParam().play(stage);
  EXPECT_THAT(stage.checked.finding(), StartsWith(std::string(GetParam().checker) + ": "));
}

INSTANTIATE_TEST_SUITE_P(Wire, PlantedBug, ::testing::ValuesIn(kProofs),
                         [](const ::testing::TestParamInfo<Proof>& proof) {
                           std::string name = proof.param.plant;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace weft::sim
