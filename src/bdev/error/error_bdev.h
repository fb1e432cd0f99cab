// A filter for tests: some operations fail, or hang, instead of reaching the device below. Several stack.
#pragma once
#include <memory>
#include <optional>

#include "bdev/bdev.h"
#include "bdev/op_class.h"

namespace weft::bdev {

struct BlockRange {
  uint64_t block = 0;
  uint64_t block_count = 1;
};

enum class ErrorEffect : uint8_t {
  kFail,  // the operation ends at once with the rule's status
  kHang,  // it ends only when ErrorChannel::release() is called
};

/// Which operations, counted by each channel for itself.
struct ErrorRule {
  OpClass op = OpClass::kAny;
  std::optional<BlockRange> range{};      // those that touch it (a flush touches every block); absent: all
  uint64_t skip = 0;                      // the first so many that match are let through
  std::optional<uint64_t> times{};        // then so many are hit; absent: all
  ErrorEffect effect = ErrorEffect::kFail;
  std::optional<nvme::Status> status{};   // absent: what a broken medium gives for the operation, with DNR
};

class ErrorChannel final : public Channel {
 public:
  ErrorChannel(std::unique_ptr<Channel> below, const ErrorRule& rule) : below_(std::move(below)), rule_(rule) {}
  /// Requires, as of every channel: nothing is submitted; what hangs was released.
  ~ErrorChannel() override { WEFT_ASSERT(hanging_.empty()); }

  void submit(Io& io) override;
  std::span<const std::byte> lend(uint64_t block, uint64_t block_count) override;
  bool store(uint64_t block, std::span<const std::byte> data) override;

  /// Ends what hangs now with the rule's status, in order.
  void release();

 private:
  bool is_hit(const Io& io);
  void fail(Io& io) const;

  std::unique_ptr<Channel> below_;
  ErrorRule rule_;
  uint64_t matched_ = 0;
  IntrusiveList<Io, &Io::link> hanging_;
};

/// The channels of the device are ErrorChannels.
std::unique_ptr<Bdev> make_error(std::unique_ptr<Bdev> below, const ErrorRule& rule);

}  // namespace weft::bdev
