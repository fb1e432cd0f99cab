#include "wire/rdma/segment.h"

#include <gtest/gtest.h>

#include <cstring>

namespace weft::rdma {
namespace {

TEST(Segment, LiesInTheDescriptorAsTheSpecificationHasIt) {
  const auto descriptor = descriptor_of({.address = 0x0807060504030201, .length = 0x0b0a09, .key = 0x0f0e0d0c, .is_to_invalidate = true});
  const uint8_t expected[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x4f};
  EXPECT_EQ(std::memcmp(&descriptor, expected, sizeof expected), 0);
}

TEST(Segment, ComesBackAsItWentIn) {
  for (const bool is_to_invalidate : {false, true}) {
    const Segment segment = segment_of(descriptor_of({.address = 0xfedcba9876543210, .length = kSegmentBytesMax, .key = 0x89abcdef, .is_to_invalidate = is_to_invalidate}));
    EXPECT_EQ(segment.address, 0xfedcba9876543210u);
    EXPECT_EQ(segment.length, kSegmentBytesMax);
    EXPECT_EQ(segment.key, 0x89abcdefu);
    EXPECT_EQ(segment.is_to_invalidate, is_to_invalidate);
  }
}

}  // namespace
}  // namespace weft::rdma
