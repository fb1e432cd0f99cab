#include "host/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/fake_target.h"

namespace weft::host {
namespace {

using testing_support::FakeTarget;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Hook = FakeTarget::Hook;

class ControllerTest : public ::testing::Test {
 protected:
  ConnectOptions options(uint16_t io_queues = 0) {
    return {.endpoint = {.host = "127.0.0.1", .port = 4420},
            .subnqn = "nqn.2014-08.org.example:a",
            .host = identity_from(Uuid{{1, 2, 3}}),
            .digests = {},
            .io_queues = io_queues,
            .keep_alive = Duration{}};
  }
  Result<void> connect(Controller& controller) {
    auto result = FakeTarget::run(reactor, clock, controller.connect());
    EXPECT_TRUE(result.has_value()) << "connect() did not end";
    return result.value_or(fail(Errc::kTimedOut, "did not end"));
  }
  void cycles(int count) {
    for (int i = 0; i < count; ++i) {
      reactor.run_once();
      clock.advance(milliseconds(1));
    }
  }

  weft::testing_support::ManualClock clock;
  weft::testing_support::NullSink sink;
  Reactor reactor{{}, clock, sink};
  FakeTarget target{reactor};
};

TEST_F(ControllerTest, ConnectsInTheOrderOfALinuxHost) {
  Controller controller{reactor, target, options(2)};
  const auto result = connect(controller);
  ASSERT_TRUE(result) << result.error().what();
  EXPECT_THAT(target.steps, ElementsAre("connect", "get 00h", "cc=00460000", "cc=00460001", "get 08h", "identify", "queues", "connect", "connect"));
  EXPECT_EQ(controller.io_queue_count(), 2u);
  EXPECT_EQ(controller.cntlid(), 5);
  EXPECT_EQ(controller.version(), nvme::kVersion2_0);
  EXPECT_EQ(controller.transfer_max(), 1u << 20);
  EXPECT_TRUE(controller.io_queue(1).has_room());
}

TEST_F(ControllerTest, TakesNoMoreQueuesAndEntriesThanItIsGranted) {
  target.queues_granted = 3;
  target.identity.maxcmd = uint16_t{40};
  Controller controller{reactor, target, options(8)};
  ASSERT_TRUE(connect(controller));
  EXPECT_EQ(controller.io_queue_count(), 3u);
  EXPECT_EQ(controller.queue_entries(), 40);
}

TEST_F(ControllerTest, SaysWhatWasTriedOnWhatWhenTheConnectionIsRefused) {
  Error refused = Error::from_errno(ECONNREFUSED, "connect");
  target.refuse_connection = &refused;
  Controller controller{reactor, target, options()};
  EXPECT_EQ(connect(controller).error().what(), "127.0.0.1:4420: cannot connect: connect: Connection refused");
}

TEST_F(ControllerTest, EveryStepIsBoundedInTime) {
  struct Row {
    const char* name;
    uint8_t opcode;
    const char* error;
  };
  for (const Row& row : {Row{"connect", nvme::kFabricsOpcode, "no answer to Connect within"}, Row{"identify", 0x06, "no answer to Identify CNS 01h"},
                         Row{"queues", 0x09, "no answer to Set Features Number of Queues"}}) {
    SCOPED_TRACE(row.name);
    target.hook = [&](uint16_t, Command& command, nvme::Cqe&) { return command.sqe.opcode == row.opcode ? Hook::kSwallow : Hook::kPass; };
    Controller controller{reactor, target, options(1)};
    EXPECT_THAT(connect(controller).error().what(), HasSubstr(row.error));
  }
}

TEST_F(ControllerTest, WaitsForReadyAsLongAsCapAllowsAndNoLonger) {
  target.ready_after_polls = 1 << 20;
  Controller controller{reactor, target, options()};
  const Instant start = clock.now();
  EXPECT_THAT(connect(controller).error().what(), HasSubstr("did not become ready within 8000 ms"));
  EXPECT_LT(clock.now() - start, seconds(9));
}

TEST_F(ControllerTest, GivesUpOnAFatalController) {
  target.hook = [&](uint16_t, Command& command, nvme::Cqe& cqe) {
    const auto& property = reinterpret_cast<const fabrics::PropertySqe&>(command.sqe);
    if (command.sqe.opcode != nvme::kFabricsOpcode || property.fctype != 4 || uint32_t{property.ofst} != nvme::property::kCsts) return Hook::kPass;
    cqe.dw0 = nvme::Csts::kCfs;
    return Hook::kAnswered;
  };
  Controller controller{reactor, target, options()};
  EXPECT_THAT(connect(controller).error().what(), HasSubstr("fatal state (CSTS 00000002h)"));
}

TEST_F(ControllerTest, RefusesAnIdentityThatALinuxHostRefuses) {
  struct Row {
    const char* error;
    void (*bend)(nvme::IdentifyController&);
  };
  const Row rows[] = {
      {"controller ID is 0005h in Connect and 0006h in Identify", [](auto& id) { id.cntlid = uint16_t{6}; }},
      {"KAS is 0", [](auto& id) { id.kas = uint16_t{0}; }},
      {"IOCCSZ 3 is below 4", [](auto& id) { id.ioccsz = 3u; }},
      {"IORCSZ is 0", [](auto& id) { id.iorcsz = 0u; }},
      {"ICDOFF 1", [](auto& id) { id.icdoff = uint16_t{1}; }},
      {"no SGLs", [](auto& id) { id.sgls = 0u; }},
  };
  for (const Row& row : rows) {
    target.identity = FakeTarget::default_identity();
    row.bend(target.identity);
    Controller controller{reactor, target, options()};
    EXPECT_THAT(connect(controller).error().what(), HasSubstr(row.error));
  }
}

TEST_F(ControllerTest, ADiscoveryNqnNeedsADiscoveryController) {
  ConnectOptions discovery = options();
  discovery.subnqn = fabrics::kDiscoveryNqn;
  Controller controller{reactor, target, discovery};
  EXPECT_THAT(connect(controller).error().what(), HasSubstr("not a discovery controller"));
}

TEST_F(ControllerTest, KeepAliveGoesOutEveryHalfKatoAndItsLackEndsTheAssociation) {
  ConnectOptions with_kato = options(1);
  with_kato.keep_alive = seconds(2);
  Controller controller{reactor, target, with_kato};
  ASSERT_TRUE(connect(controller));
  cycles(3500);
  EXPECT_EQ(std::ranges::count(target.steps, "keep alive"), 3);
  target.hook = [](uint16_t, Command& command, nvme::Cqe&) { return command.sqe.opcode == 0x18 ? Hook::kSwallow : Hook::kPass; };
  cycles(2000);
  ASSERT_NE(controller.failure(), nullptr);
  EXPECT_THAT(controller.failure()->what(), HasSubstr("no answer to Keep Alive"));
  EXPECT_FALSE(controller.io_queue(0).has_room());
}

TEST_F(ControllerTest, OneQueueLostIsTheAssociationLost) {
  Controller controller{reactor, target, options(2)};
  ASSERT_TRUE(connect(controller));
  target.cut(2, "cable pulled");
  cycles(3);
  ASSERT_NE(controller.failure(), nullptr);
  EXPECT_EQ(controller.failure()->what(), "cable pulled");
  EXPECT_FALSE(controller.io_queue(0).has_room());
  const auto again = FakeTarget::run(reactor, clock, controller.property(0, 8));
  EXPECT_THAT((*again).error().what(), HasSubstr("cable pulled"));
}

TEST_F(ControllerTest, ShutsDownThroughCcShn) {
  Controller controller{reactor, target, options(1)};
  ASSERT_TRUE(connect(controller));
  const auto result = FakeTarget::run(reactor, clock, controller.shutdown());
  ASSERT_TRUE(result && *result);
  EXPECT_EQ(target.cc >> 14 & 3, 1u);
  cycles(2);
  EXPECT_FALSE(controller.io_queue(0).has_room());
}

TEST_F(ControllerTest, ATargetMayCloseItsIoQueuesAtShutdown) {
  Controller controller{reactor, target, options(2)};
  ASSERT_TRUE(connect(controller));
  target.hook = [&](uint16_t qid, Command& command, nvme::Cqe&) {
    if (qid == 0 && command.sqe.opcode == nvme::kFabricsOpcode) target.cut(1, "the target closed the connection");
    return Hook::kPass;
  };
  const auto result = FakeTarget::run(reactor, clock, controller.shutdown());
  ASSERT_TRUE(result);
  EXPECT_TRUE(*result) << result->error().what();
}

TEST_F(ControllerTest, DecodesWhyConnectWasRefused) {
  struct Row {
    nvme::Status status;
    uint32_t dw0;
    const char* text;
  };
  const Row rows[] = {
      {nvme::status::kConnectInvalidParameters, 0x00010100, "there is no subsystem nqn.2014-08.org.example:a"},
      {nvme::status::kConnectInvalidParameters, 0x00010200, "refuses HOSTNQN (byte 512 of the Connect data)"},
      {nvme::status::kConnectInvalidParameters, 0x00010010, "refuses CNTLID (byte 16 of the Connect data)"},
      {nvme::status::kConnectInvalidParameters, 0x0000002a, "refuses QID (byte 42 of the SQE)"},
      {nvme::status::kConnectInvalidParameters, 0x0000002c, "refuses SQSIZE (byte 44 of the SQE)"},
      {nvme::status::kConnectInvalidHost, 0, "host nqn.2014-08.org.nvmexpress:uuid:01020300-0000-0000-0000-000000000000 is not allowed"},
      {nvme::status::kConnectControllerBusy, 0, "busy"},
      {nvme::status::kInvalidField.with_dnr(), 0, "0/02h Invalid Field in Command DNR"},
  };
  for (const Row& row : rows) {
    target.hook = [&](uint16_t, Command&, nvme::Cqe& cqe) {
      cqe.status = row.status.to_cqe();
      cqe.dw0 = row.dw0;
      return Hook::kAnswered;
    };
    Controller controller{reactor, target, options()};
    EXPECT_THAT(connect(controller).error().what(), HasSubstr(row.text));
  }
}

}  // namespace
}  // namespace weft::host
