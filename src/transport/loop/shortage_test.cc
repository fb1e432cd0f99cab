// What hosts get when others have taken what there is: slots and buffers of a reactor, over the loop transport.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "transport/loop/loop_host.h"
#include "transport/loop/slow_bdev.h"
#include "wire/nvme/identify.h"

namespace weft::loop {
namespace {

namespace status = nvme::status;
using nvme::IoOpcode;
using Delivery = Connection::Delivery;

constexpr char kOther[] = "nqn.2014-08.org.nvmexpress:uuid:other";

TEST(Shortage, AConnectForWhichThereAreNoSlotsIsAnsweredAndMayBeRetried) {
  TestTarget target{1, {.slots_per_reactor = 64}};
  TestQueue first{target}, second{target}, third{target};
  EXPECT_TRUE(first.connect({}).decoded_status().ok());
  EXPECT_TRUE(second.connect({.hostnqn = kOther}).decoded_status().ok());
  const nvme::Status refused = third.connect({.hostnqn = kOther}).decoded_status();
  EXPECT_TRUE(refused.is(status::kConnectControllerBusy));
  EXPECT_FALSE(refused.dnr());
  first.connection().disconnect();
  target.until([&] { return first.connection().is_detached(); });
  target.connections.erase(target.connections.begin());  // what it had reserved goes with it
  EXPECT_TRUE(third.connect({.hostnqn = kOther, .delivery = Delivery::kOnRequest}).decoded_status().ok());
}

TEST(Shortage, ARefusedConnectMayBeFollowedByOneOfASmallerQueue) {
  TestTarget target;
  TestQueue queue{target};
  EXPECT_TRUE(queue.connect({.cntlid = 77, .qid = 1, .sqsize = 1023}).decoded_status().is(status::kConnectInvalidParameters));
  EXPECT_TRUE(queue.connect({.sqsize = 31}).decoded_status().ok());
  queue.enable();
}

TEST(Shortage, OfTwoConnectsThatWaitForTheirDataTheSecondIsOutOfOrder) {
  TestTarget target;
  TestQueue queue{target};
  EXPECT_FALSE(queue.connect({.cntlid = 77, .qid = 1}).decoded_status().ok());  // leaves room for more than one command
  const ConnectOptions options{.delivery = Delivery::kOnRequest};
  const fabrics::ConnectData data = TestQueue::connect_data(options);
  queue.connection().hold_requested_data(true);
  std::optional<nvme::Cqe> first, second;
  queue.start(TestQueue::connect_request(options, data), first);
  queue.start(TestQueue::connect_request(options, data), second);
  queue.connection().hold_requested_data(false);
  queue.connection().deliver_all();
  target.until([&] { return first && second; });
  EXPECT_TRUE(first->decoded_status().ok());
  EXPECT_TRUE(second->decoded_status().is(status::kCommandSequenceError));
}

struct Buffers : testing::TestWithParam<uint32_t> {  // account_part
  Buffers() : target(1, {.transfer_share_bytes = 1 << 20, .account_part = GetParam()}) { target.add(1, target.ram()); }

  struct Host {
    Host(TestTarget& target, const std::string& nqn, uint32_t kato_ms = 0) : admin(target), io(target) {
      const uint16_t cntlid = admin.connect_and_enable({.hostnqn = nqn, .kato_ms = kato_ms});
      EXPECT_TRUE(io.connect({.hostnqn = nqn, .cntlid = cntlid, .qid = 1, .sqsize = 127}).decoded_status().ok());
    }
    TestQueue admin;
    TestQueue io;
  };
  TestTarget target;
};
INSTANTIATE_TEST_SUITE_P(Parts, Buffers, testing::Values(1, 4, 64));

TEST_P(Buffers, HostsThatDoNotSendWhatTheyAnnouncedLeaveOthersTheirPart) {
  const std::vector<std::byte> data(16384);
  std::array<std::optional<nvme::Cqe>, 2 * 100> never;
  std::vector<std::unique_ptr<Host>> silent;
  size_t next = 0;
  for (int i = 0; i < 2; ++i) {
    silent.push_back(std::make_unique<Host>(target, "nqn.2014-08.org.nvmexpress:uuid:silent" + std::to_string(i)));
    silent.back()->io.connection().hold_requested_data(true);
    for (int n = 0; n < 100; ++n) {
      silent.back()->io.start({.sqe = io_sqe(IoOpcode::kWrite, 0, 32), .from_host = data, .delivery = Delivery::kOnRequest}, never[next++]);
    }
  }
  target.pass(milliseconds(5));
  Host honest{target, kHostNqn};
  for (int n = 0; n < 20; ++n) {
    EXPECT_TRUE(honest.io.status({.sqe = io_sqe(IoOpcode::kWrite, 64, 32), .from_host = data, .delivery = Delivery::kOnRequest}).ok());
  }
  for (const auto& cqe : never) EXPECT_FALSE(cqe);
  // And those that waited get theirs when they go on.
  for (const auto& host : silent) {
    host->io.connection().hold_requested_data(false);
    host->io.connection().deliver_all();
  }
  target.until([&] { return std::ranges::all_of(never, [](const auto& cqe) { return cqe.has_value(); }); });
  for (const auto& cqe : never) EXPECT_TRUE(cqe->decoded_status().ok());
  EXPECT_EQ(target.shard().buffers().bytes_in_use(Share::kTransfer), 0u);
}

TEST_P(Buffers, ARequestAsLargeAsTheShareIsServedAmongSmallOnes) {
  const std::vector<std::byte> large(1 << 20), small(4096);
  Host one{target, kHostNqn}, other{target, kOther};
  std::array<std::optional<nvme::Cqe>, 40> answers;
  for (size_t i = 0; i < answers.size(); ++i) {
    TestQueue& queue = i % 2 == 0 ? one.io : other.io;
    const auto& data = i % 4 == 0 ? large : small;
    queue.connection().hold_requested_data(true);
    queue.start({.sqe = io_sqe(IoOpcode::kWrite, 0, uint32_t(data.size() / 512)), .from_host = data, .delivery = Delivery::kOnRequest},
                answers[i]);
  }
  target.until([&] {
    one.io.connection().deliver_all();
    other.io.connection().deliver_all();
    return std::ranges::all_of(answers, [](const auto& cqe) { return cqe.has_value(); });
  });
  for (const auto& cqe : answers) EXPECT_TRUE(cqe->decoded_status().ok());
}

TEST_P(Buffers, AHostThatIsGivenUpWhileItsCommandsWaitForBuffersLeavesThemAll) {
  const std::vector<std::byte> data(16384), whole(1 << 20);
  std::array<std::optional<nvme::Cqe>, 100> never;
  Host silent{target, kOther, 1000};
  silent.io.connection().hold_requested_data(true);
  for (auto& cqe : never) {
    silent.io.start({.sqe = io_sqe(IoOpcode::kWrite, 0, 32), .from_host = data, .delivery = Delivery::kOnRequest}, cqe);
  }
  target.pass(milliseconds(1600));
  target.until([&] { return silent.admin.connection().is_detached() && silent.io.connection().is_detached(); });
  EXPECT_EQ(silent.admin.connection().close_reason(), nvmf::CloseReason::kKeepAliveExpired);
  EXPECT_EQ(target.shard().buffers().bytes_in_use(Share::kTransfer), 0u);
  Host next{target, kHostNqn};
  EXPECT_TRUE(next.io.status({.sqe = io_sqe(IoOpcode::kWrite, 0, 2048), .from_host = whole, .delivery = Delivery::kOnRequest}).ok());
}

TEST(Shortage, AFusedPairWhoseConnectionGoesWhileItWaitsForABufferLeavesItsRangeToOthers) {
  HeldIos slow;
  TestTarget target;
  target.add(1, std::make_unique<SlowBdev>(slow));  // lends nothing: Compare reads into a buffer
  Buffers::Host going{target, kHostNqn}, staying{target, kOther};
  BufferPool& pool = target.shard().buffers();
  std::vector<std::pair<BufferAccount*, std::span<std::byte>>> taken;  // each account gets one buffer while there is any
  do {
    BufferAccount& account = pool.open_account();
    taken.emplace_back(&account, pool.try_allocate(account, Share::kScratch, 512));
  } while (!taken.back().second.empty());
  const std::vector<std::byte> data(512);
  nvme::Sqe compare = io_sqe(IoOpcode::kCompare, 7, 1), write = io_sqe(IoOpcode::kWrite, 7, 1);
  compare.flags = uint8_t(nvme::Fuse::kFirst);
  write.flags = uint8_t(nvme::Fuse::kSecond);
  std::optional<nvme::Cqe> compared, written;
  going.io.start({.sqe = compare, .from_host = data}, compared);
  going.io.start({.sqe = write, .from_host = data}, written);
  for (int i = 0; i < 20; ++i) target.turn();
  EXPECT_TRUE(slow.ios.empty());
  going.io.connection().disconnect();
  std::optional<nvme::Cqe> other;
  staying.io.start({.sqe = io_sqe(IoOpcode::kWrite, 7, 1), .from_host = data}, other);
  target.until([&] { return slow.ios.size() == 1; });
  slow.finish_all();
  EXPECT_TRUE(other);
  for (const auto& [account, buffer] : taken) {
    if (!buffer.empty()) pool.free(Share::kScratch, buffer);
    pool.close_account(*account);
  }
}

TEST(Shortage, AConnectAndAnIdentifyNeedNoneOfTheBuffersForData) {
  constexpr uint32_t kShareBytes = 1 << 20;
  TestTarget target{1, {.transfer_share_bytes = kShareBytes, .read_share_bytes = kShareBytes, .account_part = 1}};
  HeldIos slow;
  target.add(1, std::make_unique<SlowBdev>(slow));
  Buffers::Host greedy{target, kOther};
  std::vector<std::byte> whole(kShareBytes);
  std::optional<nvme::Cqe> read, write;
  greedy.io.connection().hold_requested_data(true);
  greedy.io.start({.sqe = io_sqe(IoOpcode::kRead, 0, 2048), .to_host = whole}, read);
  greedy.io.start({.sqe = io_sqe(IoOpcode::kWrite, 0, 2048), .from_host = whole, .delivery = Delivery::kOnRequest}, write);
  BufferPool& buffers = target.shard().buffers();
  ASSERT_EQ(buffers.bytes_in_use(Share::kTransfer) + buffers.bytes_in_use(Share::kRead), 2 * kShareBytes);
  TestQueue admin{target};
  admin.connect_and_enable({.delivery = Delivery::kOnRequest});
  nvme::Sqe identify{};
  identify.opcode = uint8_t(nvme::AdminOpcode::kIdentify);
  identify.cdw10 = uint32_t(nvme::Cns::kController);
  std::vector<std::byte> page(nvme::kIdentifySize);
  EXPECT_TRUE(admin.status({.sqe = identify, .to_host = page}).ok());
  slow.finish_all();
}

}  // namespace
}  // namespace weft::loop
