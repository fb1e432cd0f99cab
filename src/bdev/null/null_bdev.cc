#include "bdev/null/null_bdev.h"

#include <cstring>
#include <limits>

namespace weft::bdev {
namespace {

class NullChannel final : public Channel {
 public:
  NullChannel(std::span<const std::byte> zeroes, uint32_t block_size) : zeroes_(zeroes), block_size_(block_size) {}

  void submit(Io& io) override {
    if (io.op == Op::kRead) std::memset(io.data.data(), 0, io.data.size());
    io.done(nvme::status::kSuccess);
  }
  std::span<const std::byte> lend(uint64_t, uint64_t block_count) override {
    const uint64_t size = block_count * block_size_;
    return size <= zeroes_.size() ? zeroes_.first(size) : std::span<const std::byte>{};
  }
  bool store(uint64_t, std::span<const std::byte>) override { return true; }

 private:
  std::span<const std::byte> zeroes_;
  uint32_t block_size_;
};

class NullBdev final : public Bdev {
 public:
  NullBdev(Region zeroes, Info info) : zeroes_(std::move(zeroes)), info_(std::move(info)) {}
  const Info& info() const override { return info_; }
  Result<uint64_t> blocks_available() override { return std::numeric_limits<int64_t>::max() / info_.block_size; }
  Result<std::unique_ptr<Channel>> open_channel(Reactor&) override {
    return std::make_unique<NullChannel>(zeroes_.bytes(), info_.block_size);
  }

 private:
  Region zeroes_;
  Info info_;
};

}  // namespace

Result<std::unique_ptr<Bdev>> make_null(MemorySource& source, std::string name, uint64_t block_count, uint32_t block_size,
                                        size_t lend_bytes_max) {
  auto zeroes = source.map(lend_bytes_max, name);
  if (!zeroes) return std::unexpected(zeroes.error());
  Info info{.name = std::move(name), .block_count = block_count, .block_size = block_size};
  info.preferred_blocks = 4096 / block_size;
  info.can_deallocate = true;
  info.deallocated_reads_zero = true;
  return std::make_unique<NullBdev>(std::move(*zeroes), std::move(info));
}

}  // namespace weft::bdev
