// What the tests over the loop transport begin with: a live association with one I/O queue, on one reactor or several, a RAM namespace (1) and one
// whose device keeps everything until the test lets it go (2). Not part of any library.
#pragma once
#include "transport/loop/loop_host.h"
#include "transport/loop/slow_bdev.h"

namespace weft::loop {

inline std::vector<std::byte> pattern(size_t size, int seed) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = std::byte((i * 7 + size_t(seed) * 13) & 0xff);
  return bytes;
}

struct Loop : testing::TestWithParam<size_t> {  // the number of reactors
  Loop() : target(GetParam()), admin(target) {
    target.add(1, target.ram());
    target.add(2, std::make_unique<SlowBdev>(slow));
    cntlid = admin.connect_and_enable();
    io = std::make_unique<TestQueue>(target, GetParam() - 1);
    EXPECT_TRUE(io->connect({.cntlid = cntlid, .qid = 1}).decoded_status().ok());
  }
  ~Loop() override { slow.finish_all(); }
  nvme::Status write(uint64_t slba, std::span<const std::byte> data, Connection::Delivery delivery = Connection::Delivery::kInCapsule) {
    return io->status({.sqe = io_sqe(nvme::IoOpcode::kWrite, slba, uint32_t(data.size() / 512)), .from_host = data, .delivery = delivery});
  }
  std::vector<std::byte> read(uint64_t slba, uint32_t blocks) {
    std::vector<std::byte> data(blocks * 512);
    EXPECT_TRUE(io->status({.sqe = io_sqe(nvme::IoOpcode::kRead, slba, blocks), .to_host = data}).ok());
    return data;
  }
  HeldIos slow;
  TestTarget target;
  TestQueue admin;
  uint16_t cntlid = 0;
  std::unique_ptr<TestQueue> io;
};

}  // namespace weft::loop
