#include "bdev/ram/ram_bdev.h"

#include <cstring>

#include "base/assert.h"

namespace weft::bdev {
namespace {

class RamChannel final : public Channel {
 public:
  RamChannel(std::span<std::byte> memory, uint32_t block_size) : memory_(memory), block_size_(block_size) {}

  void submit(Io& io) override {
    const auto blocks = range(io.block, io.block_count);
    switch (io.op) {
      case Op::kRead: std::memcpy(io.data.data(), blocks.data(), blocks.size()); break;
      case Op::kWrite: std::memcpy(blocks.data(), io.data.data(), blocks.size()); break;
      case Op::kWriteZeroes:
      case Op::kDeallocate: std::memset(blocks.data(), 0, blocks.size()); break;
      case Op::kFlush: break;  // memory has no cache in front of it that could be lost alone
    }
    io.done(nvme::status::kSuccess);
  }

  std::span<const std::byte> lend(uint64_t block, uint64_t block_count) override { return range(block, block_count); }
  bool writes_in_place() const override { return true; }

 private:
  std::span<std::byte> range(uint64_t block, uint64_t block_count) const {
    WEFT_ASSERT(block + block_count <= memory_.size() / block_size_);
    return memory_.subspan(block * block_size_, block_count * block_size_);
  }
  std::span<std::byte> memory_;
  uint32_t block_size_;
};

class RamBdev final : public Bdev {
 public:
  RamBdev(Region region, Info info) : region_(std::move(region)), info_(std::move(info)) {}
  const Info& info() const override { return info_; }
  Result<std::unique_ptr<Channel>> open_channel(Reactor&) override {
    return std::make_unique<RamChannel>(region_.bytes().first(info_.block_count * info_.block_size), info_.block_size);
  }

 private:
  Region region_;
  Info info_;
};

}  // namespace

Result<std::unique_ptr<Bdev>> make_ram(MemorySource& source, std::string name, uint64_t block_count, uint32_t block_size) {
  auto region = source.map(block_count * block_size, name);
  if (!region) return std::unexpected(region.error());
  Info info{.name = std::move(name), .block_count = block_count, .block_size = block_size};
  info.preferred_blocks = 4096 / block_size;
  info.can_deallocate = true;
  info.deallocated_reads_zero = true;
  return std::make_unique<RamBdev>(std::move(*region), std::move(info));
}

}  // namespace weft::bdev
