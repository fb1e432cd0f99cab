#include "wire/nvme/features.h"

#include "wire/print.h"
#include "wire/test_bytes.h"

#include <gtest/gtest.h>

namespace weft::nvme {
namespace {

TEST(NumberOfQueues, FieldsAreZeroBased) {
  const auto queues = NumberOfQueues::from_wire(0x0007000f);
  EXPECT_EQ(queues.submission, 16u);
  EXPECT_EQ(queues.completion, 8u);
  EXPECT_EQ(queues.to_wire(), 0x0007000fu);
}

TEST(NumberOfQueues, FfffIsRefusedInEitherField) {
  EXPECT_TRUE(NumberOfQueues::from_wire(0xfffefffe).is_valid());
  EXPECT_FALSE(NumberOfQueues::from_wire(0x0000ffff).is_valid());
  EXPECT_FALSE(NumberOfQueues::from_wire(0xffff0000).is_valid());
}

TEST(AsyncEvent, RoundTripAndDump) {
  const auto event = AsyncEvent::from_dw0(0x00800006);
  EXPECT_EQ(event, (AsyncEvent{AsyncEventType::kIoCommandSet, 0, LogPage::kReservationNotification}));
  EXPECT_EQ(event.to_dw0(), 0x00800006u);
  EXPECT_EQ(to_text(event), "event type 6 info 00h log page 80h");
}

TEST(GetFeatures, SelectIsBits10To8) { EXPECT_EQ(feature_select(0xfffffb07), 3); }

TEST(Timestamp, RoundTripAndDump) {
  const auto timestamp = from_bytes<Timestamp>({{0, {0x00, 0x10, 0, 0, 0, 0x01, 0x02, 0}}});
  EXPECT_EQ(uint64_t{timestamp.timestamp_ms}, 0x010000001000u);
  EXPECT_EQ(timestamp.attributes, Timestamp::kOriginSet);
  EXPECT_EQ(to_text(timestamp), "timestamp 1099511631872 ms attributes 0x02");
}

TEST(HostBehavior, RoundTripAndDump) {
  const auto behavior = from_bytes<HostBehavior>({{0, {1, 0, 1, 0, 0x0c, 0x00}}});
  EXPECT_EQ(to_text(behavior), "acre 1 etdas 0 lbafee 1 hdisns 0 cdfe 0x000c");
}

}  // namespace
}  // namespace weft::nvme
