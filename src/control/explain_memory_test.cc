#include "control/explain_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::control {
namespace {

using testing::HasSubstr;

TEST(ExplainMemory, NamesEveryBound) {
  const std::string text = explain_memory(Limits{}, {});
  for (const LimitRow& row : kLimitTable) EXPECT_THAT(text, HasSubstr(std::string{"\n"} + row.name + " "));
}

TEST(ExplainMemory, PerReactorBoundsGrowWithTheReactors) {
  const Limits limits{.receive_buffer_bytes = 3 << 20};
  EXPECT_THAT(explain_memory(limits, {.reactors = 5}),
              testing::ContainsRegex("receive_buffer_bytes +3 MiB +reactor +1 B +15 MiB"));
}

TEST(ExplainMemory, TotalIsTheSumOfWhatIsPrinted) {
  Limits limits{};
  for (const LimitRow& row : kLimitTable) limits.*row.value = 0;
  limits.connections = 1024;          // 10 KiB each
  limits.read_share_bytes = 1 << 20;  // for each of two reactors
  const std::string text = explain_memory(limits, {.reactors = 2, .subsystems = 1, .ram_bytes = 4 << 20});
  EXPECT_THAT(text, HasSubstr("total with 2 reactors and 1 subsystem: at most 16 MiB"));
}

TEST(ExplainMemory, SaysWhatRdmaLocks) {
  const Limits limits{.admin_share_bytes = 1 << 20, .transfer_share_bytes = 2 << 20, .read_share_bytes = 4 << 20, .fused_share_bytes = 8 << 20,
                      .rdma_in_capsule_bytes = 0, .rdma_receives = 0};
  EXPECT_THAT(explain_memory(limits, {}), HasSubstr("RDMA locks 15 MiB of it for each reactor"));
}

TEST(ExplainMemory, TakesItsScaleFromTheConfiguration) {
  Config config;
  config.target.cores = {0, 1, 2};
  config.subsystems.resize(2);
  config.subsystems[1].namespaces = {{.device = {.kind = DeviceKind::kRam, .size_bytes = 512}},
                                     {.device = {.kind = DeviceKind::kNull, .size_bytes = 1024}}};
  const MemoryScale scale = scale_of(config);
  EXPECT_EQ(scale.reactors, 3u);
  EXPECT_EQ(scale.subsystems, 2u);
  EXPECT_EQ(scale.ram_bytes, 512u);
}

}  // namespace
}  // namespace weft::control
