#include "bdev/ram/ram_bdev.h"

#include "base/assert.h"
#include "bdev/ram/ram_channel.h"

namespace weft::bdev {
namespace {

class RamBdev final : public Bdev {
 public:
  RamBdev(Region region, Info info, uint64_t blocks_available)
      : region_(std::move(region)), info_(std::move(info)), blocks_available_(blocks_available) {}
  const Info& info() const override { return info_; }
  Result<uint64_t> blocks_available() override { return blocks_available_; }
  Result<std::unique_ptr<Channel>> open_channel(Reactor& reactor) override {
    return std::make_unique<RamChannel>(reactor, region_.bytes().first(blocks_available_ * info_.block_size), info_.block_size);
  }

 private:
  Region region_;
  Info info_;
  uint64_t blocks_available_;
};

}  // namespace

Result<std::unique_ptr<Bdev>> make_ram(MemorySource& source, std::string name, const RamSize& size) {
  WEFT_ASSERT(size.block_count <= size.blocks_available);
  auto region = source.map(size.blocks_available * size.block_size, name);
  if (!region) return std::unexpected(region.error());
  Info info{.name = std::move(name), .block_count = size.block_count, .block_size = size.block_size};
  info.preferred_blocks = 4096 / size.block_size;
  info.can_deallocate = true;
  info.deallocated_reads_zero = true;
  return std::make_unique<RamBdev>(std::move(*region), std::move(info), size.blocks_available);
}

Result<std::unique_ptr<Bdev>> make_ram(MemorySource& source, std::string name, uint64_t block_count, uint32_t block_size) {
  return make_ram(source, std::move(name), {.block_count = block_count, .blocks_available = block_count, .block_size = block_size});
}

}  // namespace weft::bdev
