#include "bdev/nvme/command_limits.h"

#include <gtest/gtest.h>

namespace weft::bdev {
namespace {

const nvme::ControllerFacts kController{.transfer_bytes_max = 64 << 10,
                                            .zeroes_bytes_max = 1 << 20,
                                            .verify_bytes_max = 16 << 10,
                                            .deallocate_blocks_max = 1000,
                                            .has_write_zeroes = true,
                                            .has_copy = true,
                                            .atomic_blocks = 16,
                                            .atomic_power_fail_blocks = 4};
const nvme::NamespaceFacts kNamespace{.copy_range_blocks_max = 10, .copy_blocks_max = 100, .copy_ranges_max = 4};

TEST(CommandLimits, AreThoseOfTheDeviceInBlocks) {
  const CommandLimits limits = limits_of(kController, kNamespace);
  EXPECT_EQ(limits.transfer, 128u);
  EXPECT_EQ(limits.zero, 2048u);
  EXPECT_EQ(limits.fill_with_zeroes, 128u);
  EXPECT_EQ(limits.deallocate, 1000u);
  EXPECT_EQ(limits.verify, 32u);
}

TEST(CommandLimits, ACopyIsAsLargeAsItsRangesCanSayAndAsTheDeviceTakes) {
  EXPECT_EQ(limits_of(kController, kNamespace).copy, 40u);
  EXPECT_EQ(limits_of(kController, kNamespace).copy_range, 10u);
  nvme::NamespaceFacts ns = kNamespace;
  ns.copy_ranges_max = 256;
  EXPECT_EQ(limits_of(kController, ns).copy, 100u);
  ns.copy_blocks_max = 1 << 20;
  EXPECT_EQ(limits_of(kController, ns).copy, 1280u);  // 128 ranges fill a page
}

TEST(CommandLimits, ACopyWithoutRoomForABlockIsNone) {
  EXPECT_TRUE(has_copy(kController, kNamespace));
  nvme::NamespaceFacts ns = kNamespace;
  ns.copy_range_blocks_max = 0;
  EXPECT_FALSE(has_copy(kController, ns));
  ns = kNamespace;
  ns.copy_blocks_max = 0;
  EXPECT_FALSE(has_copy(kController, ns));
}

TEST(Atomicity, IsTheControllersUnlessTheNamespaceHasItsOwn) {
  EXPECT_EQ(atomicity_of(kController, {}), (Atomicity{.blocks = 16, .power_fail_blocks = 4}));
  EXPECT_EQ(atomicity_of(kController, {.atomic_blocks = 64, .atomic_power_fail_blocks = 8}), (Atomicity{.blocks = 64, .power_fail_blocks = 8}));
  EXPECT_EQ(atomicity_of(kController, {.atomic_power_fail_blocks = 100}).power_fail_blocks, 16u);  // never more than against others
}

TEST(Atomicity, IsNoMoreThanOneCommandCarries) {
  const nvme::NamespaceFacts all{.atomic_blocks = 65536, .atomic_power_fail_blocks = 65536};
  nvme::ControllerFacts controller = kController;
  EXPECT_EQ(atomicity_of(controller, all).blocks, 128u);  // MDTS
  controller.transfer_bytes_max = 1 << 20;
  EXPECT_EQ(atomicity_of(controller, all).blocks, 256u);  // a bounce buffer
  controller.zeroes_bytes_max = 32 << 10;
  EXPECT_EQ(atomicity_of(controller, all).blocks, 64u);   // WZSL
  EXPECT_EQ(atomicity_of(controller, all).power_fail_blocks, 64u);
}

TEST(Atomicity, HasTheBoundariesOfTheNamespace) {
  const nvme::NamespaceFacts ns{.atomic_blocks = 8,
                                .atomic_power_fail_blocks = 8,
                                .atomic_boundary_blocks = 64,
                                .atomic_power_fail_boundary_blocks = 16,
                                .atomic_boundary_offset = 5};
  EXPECT_EQ(atomicity_of(kController, ns),
            (Atomicity{.blocks = 8, .power_fail_blocks = 8, .boundary_blocks = 64, .power_fail_boundary_blocks = 16, .boundary_offset = 5}));
}

TEST(Atomicity, OfADeviceWhoseBoundariesMakeNoSenseIsOneBlock) {
  EXPECT_EQ(atomicity_of(kController, {.atomic_blocks = 8, .atomic_boundary_blocks = 4}), Atomicity{});
  EXPECT_EQ(atomicity_of(kController, {.atomic_blocks = 8, .atomic_boundary_blocks = 16, .atomic_boundary_offset = 17}), Atomicity{});
}

TEST(Atomicity, IsKeptByWhatIsNeverTornSooner) {
  const Atomicity promised{.blocks = 16, .power_fail_blocks = 8, .boundary_blocks = 64};
  EXPECT_TRUE(keeps(promised, promised));
  EXPECT_TRUE(keeps({.blocks = 32, .power_fail_blocks = 8}, promised));
  EXPECT_FALSE(keeps({.blocks = 15, .power_fail_blocks = 8, .boundary_blocks = 64}, promised));
  EXPECT_FALSE(keeps({.blocks = 16, .power_fail_blocks = 7, .boundary_blocks = 64}, promised));
  EXPECT_FALSE(keeps({.blocks = 16, .power_fail_blocks = 8, .boundary_blocks = 32}, promised));
  EXPECT_FALSE(keeps({.blocks = 16, .power_fail_blocks = 8, .power_fail_boundary_blocks = 64}, promised));
  EXPECT_FALSE(keeps({.blocks = 16, .power_fail_blocks = 8, .boundary_blocks = 64, .boundary_offset = 1}, promised));
  EXPECT_TRUE(keeps(Atomicity{}, Atomicity{}));
}

}  // namespace
}  // namespace weft::bdev
