#include "transport/tcp/send_queue.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/prng.h"
#include "wire/tcp/pdu.h"

namespace weft::tcp {
namespace {

/// The queue only hands commands back: addresses that are never looked at stand in for them.
nvmf::Command& command(size_t number) {
  static char storage[4096];
  return reinterpret_cast<nvmf::Command&>(storage[number]);
}

void append(SendQueue& queue, std::string_view text) { std::memcpy(queue.append(text.size()).data(), text.data(), text.size()); }

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

/// Takes at most `limit` bytes of the front, as a socket would.
std::string take(SendQueue& queue, size_t limit, size_t iovec_count = 64, size_t bytes_max = SIZE_MAX) {
  std::vector<iovec> room(iovec_count);
  std::string taken;
  for (const iovec& piece : queue.gather(room, bytes_max)) {
    const size_t count = std::min(piece.iov_len, limit - taken.size());
    taken.append(static_cast<const char*>(piece.iov_base), count);
  }
  queue.sent(taken.size());
  return taken;
}

TEST(SendQueue, ResponsesWithoutDataBetweenThemAreOnePiece) {
  BlockPool pool;
  SendQueue queue(pool);
  append(queue, "one");
  queue.mark(command(1));
  append(queue, "two");
  queue.mark(command(2));
  std::vector<iovec> room(8);
  EXPECT_EQ(queue.gather(room, SIZE_MAX).size(), 1u);
  EXPECT_EQ(take(queue, 100), "onetwo");
  EXPECT_EQ(queue.take_done(), &command(1));
  EXPECT_EQ(queue.take_done(), &command(2));
  EXPECT_EQ(queue.take_done(), nullptr);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(SendQueue, ACommandIsDoneOnlyWhenItsLastByteHasLeft) {
  BlockPool pool;
  SendQueue queue(pool);
  const std::string data = "0123456789";
  append(queue, "head");
  queue.append(0, bytes(data), DataKind::kStable);
  append(queue, "digest");
  queue.mark(command(1));
  EXPECT_EQ(take(queue, 14), "head0123456789");
  EXPECT_EQ(queue.take_done(), nullptr);
  EXPECT_EQ(take(queue, 5), "diges");
  EXPECT_EQ(queue.take_done(), nullptr);
  EXPECT_EQ(take(queue, 5), "t");
  EXPECT_EQ(queue.take_done(), &command(1));
}

TEST(SendQueue, AMarkWithNothingBeforeItIsDoneAtOnce) {
  BlockPool pool;
  SendQueue queue(pool);
  queue.mark(command(1));
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.take_done(), &command(1));
  EXPECT_EQ(queue.take_done(), nullptr);
}

TEST(SendQueue, ABlockThatASendCutsIsSentAsItWas) {
  BlockPool pool;
  SendQueue queue(pool);
  std::string media(3 * 4096, 'a');
  queue.append(0, bytes(media), DataKind::kLent);
  queue.mark(command(1));
  EXPECT_EQ(take(queue, 4096 + 100), std::string(4096 + 100, 'a'));
  EXPECT_EQ(queue.take_done(), nullptr);
  media.assign(3 * 4096, 'b');  // a newer write
  EXPECT_EQ(take(queue, 96), std::string(96, 'a'));
  EXPECT_EQ(queue.take_done(), nullptr);
  EXPECT_EQ(take(queue, 100000), std::string(3900, 'a') + std::string(4096, 'b'));
  EXPECT_EQ(queue.take_done(), &command(1));
}

TEST(SendQueue, LentDataIsDigestedAsItIsSent) {
  BlockPool pool;
  SendQueue queue(pool);
  SendQueue other(pool);
  std::string media(4096, 'a');
  const std::string newer(4096, 'b');
  const auto digest = [](const std::string& text) {
    std::string four(kDigestSize, 0);
    store_le32(reinterpret_cast<std::byte*>(four.data()), crc32c(bytes(text)));
    return four;
  };
  const auto append_one = [&](SendQueue& to) {
    std::memcpy(to.append(4, bytes(media), DataKind::kLentWithDigest).data(), "head", 4);
    to.mark(command(1));
  };
  append_one(queue);
  std::vector<iovec> room(8);
  queue.gather(room, SIZE_MAX);  // the socket takes nothing
  media = newer;
  EXPECT_EQ(take(queue, 2), "he");
  EXPECT_EQ(queue.take_done(), nullptr);
  media.assign(4096, 'c');
  EXPECT_EQ(take(queue, 102), "ad" + std::string(100, 'c'));
  EXPECT_EQ(queue.take_done(), nullptr);
  media = newer;  // too late
  append_one(other);
  EXPECT_EQ(take(other, 100000), "head" + newer + digest(newer));
  EXPECT_EQ(take(queue, 50), std::string(50, 'c'));
  EXPECT_EQ(queue.take_done(), nullptr);
  EXPECT_EQ(take(queue, 3948), std::string(3946, 'c') + digest(std::string(4096, 'c')).substr(0, 2));
  EXPECT_EQ(queue.take_done(), nullptr);
  EXPECT_EQ(take(queue, 100), digest(std::string(4096, 'c')).substr(2));
  EXPECT_EQ(queue.take_done(), &command(1));
}

TEST(SendQueue, ACommandIsDoneBeforeTheDigestOfItsData) {
  BlockPool pool;
  SendQueue queue(pool);
  const std::string data(512, 'd');
  queue.append(0, bytes(data), DataKind::kLentWithDigest, &command(1));
  EXPECT_EQ(take(queue, 511), data.substr(1));
  EXPECT_EQ(queue.take_done(), nullptr);
  EXPECT_EQ(take(queue, 1), "d");
  EXPECT_EQ(queue.take_done(), &command(1));
  EXPECT_EQ(queue.size(), kDigestSize);
  EXPECT_EQ(take(queue, 100).size(), kDigestSize);
  EXPECT_EQ(queue.take_done(), nullptr);
}

TEST(SendQueue, OneSendHasAsMuchDataWithDigestsAsItHasBlocksFor) {
  BlockPool pool;
  SendQueue queue(pool);
  const std::string data(512, 'd');
  constexpr size_t kCount = 2 * BlockPool::kStageBlocks + 3;
  for (size_t i = 0; i < kCount; ++i) {
    queue.append(0, bytes(data), DataKind::kLentWithDigest);
    queue.mark(command(i));
  }
  const size_t whole = take(queue, SIZE_MAX, 1024).size();
  EXPECT_GE(whole, BlockPool::kStageBlocks * 512);
  EXPECT_LE(whole, BlockPool::kStageBlocks * 516);
  size_t done = 0;
  const auto drain = [&] {
    while (nvmf::Command* next = queue.take_done()) EXPECT_EQ(next, &command(done++));
  };
  for (drain(); queue.size() > 0; drain()) take(queue, SIZE_MAX, 1024);
  EXPECT_EQ(done, kCount);
}

TEST(SendQueue, StableDataIsNotCopiedAtACut) {
  BlockPool pool;
  SendQueue queue(pool);
  std::string data(4096, 'a');
  queue.append(0, bytes(data), DataKind::kStable);
  queue.mark(command(1));
  take(queue, 100);
  EXPECT_EQ(queue.take_done(), nullptr);
  std::vector<iovec> room(8);
  ASSERT_EQ(queue.gather(room, SIZE_MAX).size(), 1u);
  EXPECT_EQ(room[0].iov_base, data.data() + 100);
}

TEST(SendQueue, ElementsMayBeAddedBetweenTwoDoneCommands) {
  BlockPool pool;
  SendQueue queue(pool);
  append(queue, "a");
  queue.mark(command(1));
  EXPECT_EQ(take(queue, 1), "a");
  EXPECT_EQ(queue.take_done(), &command(1));
  append(queue, "b");
  queue.mark(command(2));
  EXPECT_EQ(queue.take_done(), nullptr);
  EXPECT_EQ(take(queue, 1), "b");
  EXPECT_EQ(queue.take_done(), &command(2));
}

TEST(SendQueue, OneSendEndsWithTheDataThatReachesItsBytes) {
  BlockPool pool;
  SendQueue queue(pool);
  const std::string data(3000, 'd');
  for (size_t i = 0; i < 4; ++i) {
    append(queue, "head");
    queue.append(0, bytes(data), DataKind::kStable, &command(i));
  }
  std::vector<iovec> room(64);
  EXPECT_EQ(queue.gather(room, 1).size(), 2u);
  EXPECT_EQ(queue.gather(room, 3001).size(), 4u);
  EXPECT_EQ(take(queue, 100, 64, 3000), "head" + std::string(96, 'd'));
  EXPECT_EQ(queue.take_done(), nullptr);
  EXPECT_EQ(queue.gather(room, 3000).size(), 1u);  // the rest of what a send has cut
  EXPECT_EQ(take(queue, 100000).size(), 4 * 3004u - 100);
}

TEST(SendQueue, AnySplitGivesTheSameBytesAndTheSameOrder) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Prng prng{seed};
    BlockPool pool;
    SendQueue queue(pool);
    std::string data(20000, 0);
    for (size_t i = 0; i < data.size(); ++i) data[i] = char('a' + i % 26);
    std::string expected, got;
    size_t marked = 0, done = 0;
    const auto drain = [&] {
      while (nvmf::Command* next = queue.take_done()) EXPECT_EQ(next, &command(done++));
    };
    while (marked < 600) {
      const std::string head(1 + prng.below(160), char('0' + marked % 10));
      append(queue, head);
      expected += head;
      const bool has_data = prng.below(2) == 0;
      const bool ends_with_data = has_data && prng.below(2) == 0;
      nvmf::Command* const ended = ends_with_data ? &command(marked) : nullptr;
      if (has_data && prng.below(3) == 0) {
        const auto part = bytes(data).first(1 + prng.below(SendQueue::kStagedMax));
        queue.append(0, part, DataKind::kLentWithDigest, ended);
        le32 digest = crc32c(part);
        expected.append(reinterpret_cast<const char*>(part.data()), part.size());
        expected.append(reinterpret_cast<const char*>(&digest), sizeof digest);
      } else if (has_data) {
        const size_t length = 1 + prng.below(9000);
        queue.append(0, bytes(data).first(length), prng.below(2) == 0 ? DataKind::kLent : DataKind::kStable, ended);
        expected += data.substr(0, length);
      }
      if (!ends_with_data) queue.mark(command(marked));
      ++marked;
      if (prng.below(3) == 0) {
        got += take(queue, 1 + prng.below(12000), 1 + prng.below(5), 1 + prng.below(20000));
        drain();
      }
    }
    while (queue.size() > 0) {
      got += take(queue, 1 + prng.below(12000), 1 + prng.below(5), 1 + prng.below(20000));
      drain();
    }
    EXPECT_TRUE(got == expected);
    EXPECT_EQ(done, marked);
  }
}

}  // namespace
}  // namespace weft::tcp
