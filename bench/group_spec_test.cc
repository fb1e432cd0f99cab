#include "bench/group_spec.h"

#include <gtest/gtest.h>

namespace weft::bench {
namespace {

const GroupSpec kDefaults{.name = "all", .workload = {.io_bytes = 4096}, .connections = 3, .queue_depth = 5};

TEST(GroupSpec, TakesWhatItSaysAndTheRestFromTheDefaults) {
  const auto group = parse_group("greedy,depth=128,size=128KiB,rw=write,rate=1000", kDefaults);
  ASSERT_TRUE(group);
  EXPECT_EQ(group->name, "greedy");
  EXPECT_EQ(group->connections, 3u);
  EXPECT_EQ(group->queue_depth, 128u);
  EXPECT_EQ(group->workload.io_bytes, 128u << 10);
  EXPECT_EQ(group->workload.direction, Direction::kWrite);
  EXPECT_EQ(group->rate, 1000);
}

TEST(GroupSpec, NamesThePartThatIsWrong) {
  for (const auto& [text, wrong] : {std::pair{"a,depth=0", "depth=0"}, {"a,depth=2,size=x", "size=x"}, {"a,speed=1", "speed=1"}, {"a,rw", "rw"},
                                    {"a,depth=2x", "depth=2x"}, {"depth=3", "depth=3"}, {"", ""}}) {
    const auto group = parse_group(text, kDefaults);
    ASSERT_FALSE(group) << text;
    EXPECT_EQ(group.error(), wrong);
  }
}

}  // namespace
}  // namespace weft::bench
