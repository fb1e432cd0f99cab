// The verbs suite on the simulated fabric, and what that fabric adds: what it finds wrong with its users, and what goes wrong in it.
#include "tests/conformance/simulated_rdma.h"

namespace weft::conformance {
namespace {

INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, VerbsConformance, SimulatedRdma);

class RdmaFabricTest : public VerbsConformance<SimulatedRdma> {
 protected:
  void SetUp() override {
    VerbsConformance<SimulatedRdma>::SetUp();
    connect();
  }
  End::Work write(uint32_t key, uint64_t wr_id = 1) const {
    return {.opcode = IBV_WR_RDMA_WRITE, .wr_id = wr_id, .size = 64, .remote_address = host_->address(0), .remote_key = key};
  }
  static End::Work send(uint64_t wr_id) { return {.opcode = IBV_WR_SEND, .wr_id = wr_id, .size = 16}; }
  uint32_t host_key() const { return host_->domain->remote_key(0); }
};

TEST_F(RdmaFabricTest, AKeyIsOfNoUseAfterItsDomainIsClosedAndBothEndsFail) {
  const uint32_t none = host_key() + 100;
  target_->post({write(none)});
  ASSERT_TRUE(until_completions(*target_, 1));
  EXPECT_EQ(target_->completions[0].status, IBV_WC_REM_ACCESS_ERR);
  ASSERT_TRUE(until([&] { return host_->ending.has_value(); }));
  EXPECT_EQ(*host_->ending, verbs::Ending::Kind::kFailed);
  EXPECT_EQ(world_->finding(), "memory-keys");
}

TEST_F(RdmaFabricTest, DataThatChangesBeforeItsCompletionIsPolledIsFound) {
  target_->post({write(host_key())});
  world_->pass(milliseconds(1));
  EXPECT_EQ(world_->finding(), "");
  target_->data[5] ^= std::byte{1};
  ASSERT_TRUE(until_completions(*target_, 1));
  EXPECT_EQ(world_->finding(), "buffer-ownership");
}

TEST_F(RdmaFabricTest, DataMayChangeOnceItsCompletionWasPolled) {
  target_->post({write(host_key())});
  ASSERT_TRUE(until_completions(*target_, 1));
  target_->data[5] ^= std::byte{1};
  target_->post({send(2)});
  ASSERT_TRUE(until_completions(*target_, 2));
  EXPECT_EQ(world_->finding(), "");
}

TEST_F(RdmaFabricTest, AReceiveThatIsTouchedBeforeItIsFilledIsFound) {
  target_->capsules[3] = std::byte{1};
  host_->post({send(1)});
  ASSERT_TRUE(until_completions(*target_, 1));
  EXPECT_EQ(world_->finding(), "buffer-ownership");
}

TEST_F(RdmaFabricTest, AMessageWaitsForAReceiveAndThatIsFound) {
  for (uint64_t i = 0; i <= End::kReceives; ++i) host_->post({send(i)});
  ASSERT_TRUE(until_completions(*target_, End::kReceives));
  world_->pass(milliseconds(5));
  EXPECT_EQ(world_->finding(), "receive-room");
  target_->post_receives();
  EXPECT_TRUE(until_completions(*target_, End::kReceives + 1));
}

TEST_F(RdmaFabricTest, WhatIsNotAnsweredIsGivenUp) {
  world_->fabric.power_lost(SimulatedRdma::kHostMachine);
  target_->post({write(host_key(), 1), send(2)});
  world_->pass(milliseconds(1));
  target_->poll();
  EXPECT_TRUE(target_->completions.empty());
  world_->pass(sim::RdmaFabric::kRetriesEnd + milliseconds(1));
  target_->poll();
  ASSERT_EQ(target_->completions.size(), 2u);
  EXPECT_EQ(target_->completions[0].status, IBV_WC_RETRY_EXC_ERR);
  EXPECT_EQ(target_->completions[1].status, IBV_WC_WR_FLUSH_ERR);
  host_->pair.reset();  // it is in no device any more
  host_->domain.reset();
}

TEST_F(RdmaFabricTest, WhatIsHeldOnTheWayArrivesWhenItIsReleased) {
  world_->network.hold(SimulatedRdma::kHostMachine, SimulatedRdma::kTargetMachine);
  host_->post({send(1)});
  world_->pass(milliseconds(10));
  target_->poll();
  EXPECT_TRUE(target_->completions.empty());
  world_->network.release(SimulatedRdma::kHostMachine, SimulatedRdma::kTargetMachine);
  EXPECT_TRUE(until_completions(*target_, 1));
}

TEST_F(RdmaFabricTest, APortThatIsDownLosesNothingWhenItIsUpAgainSoon) {
  world_->fabric.take_port_down(SimulatedRdma::kTargetMachine);
  host_->post({send(1)});
  world_->pass(milliseconds(10));
  target_->poll();
  EXPECT_TRUE(target_->completions.empty());
  world_->fabric.take_port_up(SimulatedRdma::kTargetMachine);
  EXPECT_TRUE(until_completions(*target_, 1));
}

TEST_F(RdmaFabricTest, AnAddressThatMovesEndsOneSideAndTheOtherLearnsByTrying) {
  world_->fabric.change_address(SimulatedRdma::kHostMachine);
  ASSERT_TRUE(until([&] { return host_->ending.has_value(); }));
  EXPECT_EQ(*host_->ending, verbs::Ending::Kind::kDisconnected);
  world_->pass(milliseconds(10));
  EXPECT_FALSE(target_->ending.has_value());
  target_->post({send(1)});
  world_->pass(sim::RdmaFabric::kRetriesEnd + milliseconds(1));
  target_->poll();
  ASSERT_EQ(target_->completions.size(), 1u);
  EXPECT_EQ(target_->completions[0].status, IBV_WC_RETRY_EXC_ERR);
}

TEST_F(RdmaFabricTest, ADeviceThatGoesEndsEverythingAndAnotherOneComes) {
  const verbs::Device* old = host_->device;
  world_->fabric.remove_device(SimulatedRdma::kHostMachine);
  ASSERT_TRUE(until([&] { return host_->ending.has_value(); }));
  EXPECT_EQ(*host_->ending, verbs::Ending::Kind::kRemoved);
  world_->fabric.restore_device(SimulatedRdma::kHostMachine);
  host_->verbs_.resolve({.to = listener_->address()}, *host_);
  ASSERT_TRUE(until([&] { return host_->route.has_value(); }));
  EXPECT_NE(host_->device, old);
}

}  // namespace
}  // namespace weft::conformance
