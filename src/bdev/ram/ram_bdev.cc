#include "bdev/ram/ram_bdev.h"

#include "bdev/ram/ram_channel.h"

namespace weft::bdev {
namespace {

class RamBdev final : public Bdev {
 public:
  RamBdev(Region region, Info info) : region_(std::move(region)), info_(std::move(info)) {}
  const Info& info() const override { return info_; }
  Result<std::unique_ptr<Channel>> open_channel(Reactor& reactor) override {
    return std::make_unique<RamChannel>(reactor, region_.bytes().first(info_.block_count * info_.block_size), info_.block_size);
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
