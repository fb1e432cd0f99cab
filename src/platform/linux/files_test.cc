#include "platform/linux/files.h"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <fcntl.h>

#include "platform/linux/temporary_directory.h"

namespace weft::platform {
namespace {

class FilesTest : public ::testing::Test {
 protected:
  Result<OpenedMedium> open(uint64_t size_bytes, uint32_t block_size = 512) {
    return open_file({.path = directory_.path("disk"), .size_bytes = size_bytes, .block_size = block_size});
  }
  TemporaryDirectory directory_;
};

TEST_F(FilesTest, AMissingFileIsCreatedSparseWhenASizeIsGiven) {
  const auto opened = open(1 << 30);
  ASSERT_TRUE(opened.has_value()) << opened.error().what();
  EXPECT_EQ(opened->facts.size_bytes, 1u << 30);
  struct stat status;
  ASSERT_EQ(::stat(directory_.path("disk").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 1 << 30);
  EXPECT_LT(status.st_blocks, 1000);
  EXPECT_EQ(status.st_mode & 077, 0u);
}

TEST_F(FilesTest, AMissingFileWithoutASizeIsAnErrorThatSaysHow) {
  const auto opened = open(0);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Errc::kNotFound);
  EXPECT_NE(opened.error().what().find("size="), std::string_view::npos);
}

TEST_F(FilesTest, AnExistingFileKeepsItsSizeAndADifferingOneNamesBoth) {
  directory_.write("disk", std::string(8192, 'x'));
  for (const uint64_t size : {4096u, 16384u}) {
    const auto opened = open(size);
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().what().find("8192"), std::string_view::npos);
    EXPECT_NE(opened.error().what().find(std::to_string(size)), std::string_view::npos);
  }
  EXPECT_EQ(std::filesystem::file_size(directory_.path("disk")), 8192u);
  EXPECT_TRUE(open(8192).has_value());
  EXPECT_TRUE(open(0).has_value());
}

TEST_F(FilesTest, AFileThatIsNotWholeBlocksIsRefused) {
  directory_.write("disk", std::string(8192 + 512, 'x'));
  EXPECT_FALSE(open(0, 4096).has_value());
  EXPECT_TRUE(open(0, 512).has_value());
  directory_.write("disk", "");
  EXPECT_FALSE(open(0).has_value());
}

TEST_F(FilesTest, OnlyRegularFilesAreTaken) {
  std::filesystem::create_directory(directory_.path("disk"));
  EXPECT_FALSE(open(4096).has_value());
  std::filesystem::remove(directory_.path("disk"));
  ASSERT_EQ(::mkfifo(directory_.path("disk").c_str(), 0600), 0);
  const auto opened = open(4096);
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().what().find("not a regular file"), std::string_view::npos);
}

TEST_F(FilesTest, ASecondUserInThisProcessIsRefused) {
  const auto first = open(1 << 20);
  ASSERT_TRUE(first.has_value());
  const auto second = open(1 << 20);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::kBusy);
  EXPECT_NE(second.error().what().find("another namespace"), std::string_view::npos) << second.error().what();
}

TEST_F(FilesTest, AFileThatAnotherProcessHoldsNamesIt) {
  directory_.write("disk", std::string(4096, 'x'));
  int pipes[2];
  ASSERT_EQ(::pipe(pipes), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(directory_.path("disk").c_str(), O_RDWR);
    const char ready = ::flock(fd, LOCK_EX) == 0 ? 'y' : 'n';
    (void)!::write(pipes[1], &ready, 1);
    for (;;) ::pause();
  }
  char ready = 0;
  ASSERT_EQ(::read(pipes[0], &ready, 1), 1);
  const auto opened = open(0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(pipes[0]);
  ::close(pipes[1]);
  ASSERT_EQ(ready, 'y');
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().what().find("process " + std::to_string(child)), std::string_view::npos) << opened.error().what();
}

TEST_F(FilesTest, TheIdentityStaysThroughReopeningAndRenamingAndIsNotCopied) {
  const auto id_of = [&](const std::string& name) {
    return open_file({.path = directory_.path(name)}).value().facts.medium_id;
  };
  const std::string id = open(1 << 20).value().facts.medium_id;
  EXPECT_FALSE(id.empty());
  EXPECT_EQ(id_of("disk"), id);
  std::filesystem::rename(directory_.path("disk"), directory_.path("moved"));
  EXPECT_EQ(id_of("moved"), id);
  // A copy that takes the attributes with it, as `cp -a` does.
  std::filesystem::copy_file(directory_.path("moved"), directory_.path("copy"));
  char attribute[128];
  const ssize_t length = ::getxattr(directory_.path("moved").c_str(), "user.weft.id", attribute, sizeof attribute);
  if (length > 0) ::setxattr(directory_.path("copy").c_str(), "user.weft.id", attribute, size_t(length), 0);
  EXPECT_NE(id_of("copy"), id);
  EXPECT_EQ(id_of("moved"), id);
}

}  // namespace
}  // namespace weft::platform
