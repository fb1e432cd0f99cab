#include "platform/linux/machine.h"

#include <gtest/gtest.h>

#include "platform/linux/temporary_directory.h"

namespace weft::platform {
namespace {

constexpr const char* kId = "0123456789abcdef0123456789abcdef";

TEST(MachineId, IsTheSystemsWhereThereIsOne) {
  TemporaryDirectory directory;
  directory.write("machine-id", std::string(kId) + "\n");
  EXPECT_EQ(machine_id_at(directory.path("machine-id"), directory.path("state")).value(), kId);
  EXPECT_FALSE(std::filesystem::exists(directory.path("state")));
}

TEST(MachineId, IsMadeOnceWhereTheSystemHasNone) {
  TemporaryDirectory directory;
  for (const std::string content : {"", "uninitialized\n", "00000000000000000000000000000000\n"}) {
    directory.write("machine-id", content);
    const auto first = machine_id_at(directory.path("machine-id"), directory.path("state"));
    ASSERT_TRUE(first.has_value()) << first.error().what();
    EXPECT_EQ(first->size(), 32u);
    EXPECT_EQ(machine_id_at(directory.path("absent"), directory.path("state")).value(), *first);
  }
}

TEST(MachineId, IsAnErrorWhereNoneCanBeKept) {
  TemporaryDirectory directory;
  directory.write("state", "a file, not a directory");
  EXPECT_FALSE(machine_id_at(directory.path("absent"), directory.path("state")).has_value());
}

TEST(MachineId, ABrokenStateFileIsNotTakenAndNotOverwritten) {
  TemporaryDirectory directory;
  directory.write("state/machine-id", "what is this");
  const auto id = machine_id_at(directory.path("absent"), directory.path("state"));
  ASSERT_FALSE(id.has_value());
  EXPECT_EQ(id.error().code, Errc::kInvalid);
}

TEST(Random, HexIsAsLongAsAskedAndDiffers) {
  EXPECT_EQ(random_hex(16).size(), 32u);
  EXPECT_NE(random_hex(16), random_hex(16));
}

}  // namespace
}  // namespace weft::platform
