#include "wire/nvme/status.h"

#include <gtest/gtest.h>

namespace weft::nvme {
namespace {

TEST(Status, FieldOfTheCqeHoldsTypeCodeMoreAndDnr) {
  const Status status = Status{StatusCodeType::kPath, 0x71}.with_dnr().with_more();
  EXPECT_EQ(status.to_cqe(), 0xc6e2);  // DNR 15, M 14, SCT 11:9, SC 8:1
  const Status read = Status::from_cqe(0xc6e3);
  EXPECT_EQ(read, status);
  EXPECT_EQ(read.sct(), StatusCodeType::kPath);
  EXPECT_EQ(read.sc(), 0x71);
  EXPECT_TRUE(read.dnr());
  EXPECT_TRUE(read.more());
}

TEST(Status, OnlyTypeAndCodeDecideAboutSuccess) {
  EXPECT_TRUE(Status::from_cqe(0x8001).ok());
  EXPECT_FALSE(Status::from_cqe(0x0002).ok());
  EXPECT_TRUE(status::kInvalidField.with_dnr().is(status::kInvalidField));
  EXPECT_FALSE(status::kInvalidField == status::kInvalidField.with_dnr());
}

TEST(Status, NamesAreTheSpecifications) {
  EXPECT_EQ(name_of(Status{}), "Successful Completion");
  EXPECT_EQ(name_of(Status{StatusCodeType::kGeneric, 0x02}.with_dnr()), "Invalid Field in Command");
  EXPECT_EQ(name_of(Status{StatusCodeType::kGeneric, 0x80}), "LBA Out of Range");
  EXPECT_EQ(name_of(Status{StatusCodeType::kCommandSpecific, 0x84}), "Connect Invalid Host");
  EXPECT_EQ(name_of(Status{StatusCodeType::kMedia, 0x85}), "Compare Failure");
  EXPECT_EQ(name_of(Status{StatusCodeType::kPath, 0x71}), "Command Aborted By Host");
  EXPECT_EQ(name_of(Status{StatusCodeType::kVendor, 0x02}), "Unknown");
}

}  // namespace
}  // namespace weft::nvme
