#include "bdev/nvme/device_status.h"

#include <gtest/gtest.h>

namespace weft::bdev {
namespace {

namespace status = nvme::status;

TEST(DeviceStatus, WhatIsAboutBlocksIsPassedOn) {
  EXPECT_EQ(status_of_device(status::kSuccess), status::kSuccess);
  EXPECT_EQ(status_of_device(status::kUnrecoveredReadError.with_dnr().with_more()), status::kUnrecoveredReadError.with_dnr());
  EXPECT_EQ(status_of_device(status::kWriteFault), status::kWriteFault);
  EXPECT_EQ(status_of_device(status::kLbaOutOfRange.with_dnr()), status::kLbaOutOfRange.with_dnr());
  EXPECT_EQ(status_of_device(status::kReadOnlyRange), status::kNamespaceWriteProtected.with_dnr());
}

TEST(DeviceStatus, WhatIsAboutTheWayIsAPathErrorThatMayBeRetried) {
  for (const auto each : {status::kInvalidNamespace, status::kNamespaceNotReady, status::kAbortedSqDeleted, status::kControllerPathError}) {
    EXPECT_EQ(status_of_device(each.with_dnr()), status::kInternalPathError);
  }
}

TEST(DeviceStatus, ACommandThatTheDeviceDoesNotLikeIsOurFault) {
  EXPECT_EQ(status_of_device(status::kInvalidField.with_dnr()), status::kInternalError.with_dnr());
  EXPECT_EQ(status_of_device(status::kInvalidOpcode), status::kInternalError);
}

TEST(DeviceStatus, OnlyAbortedAndInterruptedCommandsAreTriedAgain) {
  EXPECT_TRUE(is_worth_another_try(status::kAbortRequested));
  EXPECT_TRUE(is_worth_another_try(status::kAbortedSqDeleted));
  EXPECT_TRUE(is_worth_another_try(status::kCommandInterrupted));
  EXPECT_FALSE(is_worth_another_try(status::kInternalError));
  EXPECT_FALSE(is_worth_another_try(status::kWriteFault));
}

}  // namespace
}  // namespace weft::bdev
