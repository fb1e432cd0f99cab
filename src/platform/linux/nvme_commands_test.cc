// What operations become as NVMe commands, byte for byte, and what the kernel's answers become.
#include "platform/linux/nvme_commands.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace weft::platform {
namespace {

using media::Kind;

constexpr CommandedNamespace kPlain{.fd = 7, .nsid = 3, .block_size = 512};
constexpr CommandedNamespace kRich{.fd = 8, .nsid = 4, .block_size = 4096, .zeroing_deallocates = true};

struct Entry {  // as in a ring with IORING_SETUP_SQE128
  alignas(io_uring_sqe) std::array<std::byte, 128> bytes;
  io_uring_sqe& sqe() { return *reinterpret_cast<io_uring_sqe*>(bytes.data()); }
  uint64_t at(size_t offset, size_t size) const {
    uint64_t value = 0;
    std::memcpy(&value, bytes.data() + offset, size);
    return value;
  }
  // By their places in the entry (io_uring.h, nvme_ioctl.h): the command begins at 48.
  uint64_t opcode() const { return at(48, 1); }
  uint64_t nsid() const { return at(52, 4); }
  uint64_t address() const { return at(72, 8); }
  uint64_t data_length() const { return at(84, 4); }
  uint64_t cdw10() const { return at(88, 4); }
  uint64_t cdw11() const { return at(92, 4); }
  uint64_t cdw12() const { return at(96, 4); }
};

class NvmeCommandsTest : public ::testing::Test {
 protected:
  media::Operation operation(Kind kind, uint64_t offset, uint32_t length, const CommandedNamespace& ns = kPlain) {
    return {.link = {}, .data = data_, .offset = offset, .length = length, .handle = &ns == &kPlain ? plain_ : rich_, .kind = kind};
  }
  Entry prepared(media::Operation& of) {
    Entry entry;
    entry.bytes.fill(std::byte{0xee});  // what the one before has left
    EXPECT_TRUE(commands_.has_room_for(of));
    commands_.prepare(entry.sqe(), of);
    return entry;
  }

  std::byte data_[8192];
  NvmeCommands commands_;
  int32_t plain_ = commands_.add(kPlain);
  int32_t rich_ = commands_.add(kRich);
};

TEST_F(NvmeCommandsTest, AnOperationIsACommandForItsNamespace) {
  const struct {
    const CommandedNamespace& ns;
    Kind kind;
    uint64_t opcode, cdw12_flags;
    bool moves_data;
  } rows[] = {
      {kPlain, Kind::kRead, 0x02, 0, true},
      {kPlain, Kind::kWrite, 0x01, 0, true},
      {kPlain, Kind::kWriteStable, 0x01, 1u << 30, true},       // FUA
      {kPlain, Kind::kZero, 0x08, 0, false},
      {kPlain, Kind::kZeroDeallocate, 0x08, 0, false},          // DEAC only where it still reads as zeroes
      {kRich, Kind::kRead, 0x02, 0, true},
      {kRich, Kind::kZero, 0x08, 0, false},
      {kRich, Kind::kZeroDeallocate, 0x08, 1u << 25, false},    // DEAC
      {kRich, Kind::kDiscard, 0x08, 1u << 25, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(&row - rows);
    const uint64_t block = 0x1'2345'6789;
    media::Operation of = operation(row.kind, block * row.ns.block_size, 2 * row.ns.block_size, row.ns);
    const Entry entry = prepared(of);
    EXPECT_EQ(entry.at(0, 1), uint64_t{IORING_OP_URING_CMD});
    EXPECT_EQ(entry.at(4, 4), uint64_t(row.ns.fd));
    EXPECT_EQ(entry.at(8, 4), uint64_t{NVME_URING_CMD_IO});
    EXPECT_EQ(entry.opcode(), row.opcode);
    EXPECT_EQ(entry.nsid(), row.ns.nsid);
    EXPECT_EQ(entry.cdw10(), 0x2345'6789u);
    EXPECT_EQ(entry.cdw11(), 1u);
    EXPECT_EQ(entry.cdw12(), row.cdw12_flags | 1);  // two blocks
    EXPECT_EQ(entry.address(), row.moves_data ? reinterpret_cast<uintptr_t>(data_) : 0u);
    EXPECT_EQ(entry.data_length(), row.moves_data ? 2 * row.ns.block_size : 0u);
    for (const size_t unused : {1u, 2u, 16u, 24u, 28u, 49u, 50u, 56u, 64u, 80u, 100u, 112u, 120u}) EXPECT_EQ(entry.at(unused, 1), 0u) << unused;
  }
}

TEST_F(NvmeCommandsTest, AFlushNamesTheNamespaceOnly) {
  media::Operation of = operation(Kind::kSync, 0, 0);
  const Entry entry = prepared(of);
  EXPECT_EQ(entry.nsid(), 3u);
  for (size_t i = 48; i < 128; ++i) EXPECT_EQ(entry.at(i, 1), i == 52 ? 3u : 0u) << i;
}

TEST_F(NvmeCommandsTest, ADiscardWithoutZeroingByDeallocationIsOneRange) {
  media::Operation of = operation(Kind::kDiscard, 100 * 512, 0x4000'0000);
  const Entry entry = prepared(of);
  EXPECT_EQ(entry.opcode(), 0x09u);
  EXPECT_EQ(entry.data_length(), 16u);
  EXPECT_EQ(entry.cdw10(), 0u);  // one
  EXPECT_EQ(entry.cdw11(), 4u);  // AD
  EXPECT_EQ(entry.cdw12(), 0u);
  const auto& range = *reinterpret_cast<const nvme::DsmRange*>(entry.address());
  EXPECT_EQ(range.attributes, 0u);
  EXPECT_EQ(range.length_blocks, 0x4000'0000u / 512);
  EXPECT_EQ(range.slba, 100u);
}

TEST_F(NvmeCommandsTest, RangesAreBoundedAndGivenBack) {
  std::vector<media::Operation> all(NvmeCommands::kRanges);
  std::vector<uint64_t> addresses;
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].kind = Kind::kDiscard;
    all[i].length = 512;
    all[i].handle = plain_;
    addresses.push_back(prepared(all[i]).address());
  }
  std::ranges::sort(addresses);
  EXPECT_EQ(std::ranges::adjacent_find(addresses), addresses.end());
  media::Operation next = operation(Kind::kDiscard, 0, 512);
  const media::Operation read = operation(Kind::kRead, 0, 512);
  const media::Operation without_range = operation(Kind::kDiscard, 0, 4096, kRich);
  EXPECT_FALSE(commands_.has_room_for(next));
  EXPECT_TRUE(commands_.has_room_for(read));
  EXPECT_TRUE(commands_.has_room_for(without_range));
  EXPECT_EQ(commands_.finish(all[5], 0x4005), -EIO);  // also when it fails
  prepared(next);
  EXPECT_FALSE(commands_.has_room_for(next));
}

TEST_F(NvmeCommandsTest, AHandleIsUsedAgain) {
  commands_.remove(plain_);
  EXPECT_EQ(commands_.add(kRich), plain_);
}

TEST(NvmeCommandOutcome, IsTheDevicesOwnStatusOrTheWayToIt) {
  namespace status = nvme::status;
  const struct {
    Kind kind;
    int32_t result, expected;
    nvme::Status status;
  } rows[] = {
      {Kind::kRead, 0, 4096, {}},
      {Kind::kWriteStable, 0, 4096, {}},
      {Kind::kSync, 0, 0, {}},
      {Kind::kZero, 0, 0, {}},
      {Kind::kDiscard, 0, 0, {}},
      {Kind::kRead, 0x281, -EIO, status::kUnrecoveredReadError},
      {Kind::kRead, 0x4281, -EIO, status::kUnrecoveredReadError.with_dnr()},
      {Kind::kWrite, 0x6280, -EIO, status::kWriteFault.with_dnr().with_more()},
      {Kind::kWrite, 0x4081, -EIO, status::kCapacityExceeded.with_dnr()},
      {Kind::kRead, 0x371, -EIO, status::kAbortedByHost},
      // Commands that it does not have, or this user may not send: zeroes are written, and a hint is not taken.
      {Kind::kZero, 0x4001, -EOPNOTSUPP, {}},
      {Kind::kZeroDeallocate, 0x4001, -EOPNOTSUPP, {}},
      {Kind::kDiscard, -EACCES, -EOPNOTSUPP, {}},
      {Kind::kWrite, 0x4001, -EIO, status::kInvalidOpcode.with_dnr()},
      {Kind::kWrite, -EACCES, -EIO, status::kInternalError.with_dnr()},
      // The kernel's own words are never about the medium. A command that was given up may have been done: it is not done again here.
      {Kind::kRead, -ENODEV, -EIO, status::kInternalPathError},
      {Kind::kWrite, -EINTR, -EIO, status::kInternalPathError},
      {Kind::kZero, -EINVAL, -EIO, status::kInternalPathError},
      {Kind::kWrite, -EIO, -EIO, status::kInternalPathError},
      {Kind::kRead, -ENOMEM, -ENOMEM, {}},
      {Kind::kRead, -EAGAIN, -EAGAIN, {}},
  };
  for (const auto& row : rows) {
    const CommandOutcome outcome = outcome_of(row.kind, 4096, row.result);
    EXPECT_EQ(outcome.result, row.expected) << int(row.kind) << " " << row.result;
    EXPECT_EQ(outcome.status, row.status) << int(row.kind) << " " << row.result;
  }
}

}  // namespace
}  // namespace weft::platform
