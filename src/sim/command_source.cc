#include "sim/command_source.h"

#include "base/assert.h"

#include <algorithm>
#include <cstring>

namespace weft::sim {
namespace {

namespace status = nvme::status;
using nvme::IoOpcode;

constexpr uint64_t kOrdinaryBytes = 64 << 10;
constexpr uint64_t kCopyBlocks = 64;      // that this host copies at most
constexpr uint64_t kNoDataBlocks = 256;   // of a Write Zeroes, Verify or a range to deallocate
constexpr unsigned kRangesToDeallocate = 4;
constexpr uint64_t kFarAway = uint64_t{1} << 40;  // beyond the end of every namespace

void set_blocks(DrawnCommand& drawn, AccessKind kind, IoOpcode opcode, Blocks blocks) {
  drawn.access.kind = kind;
  drawn.access.ranges = {blocks};
  drawn.first.opcode = uint8_t(opcode);
  drawn.first.cdw10 = uint32_t(blocks.first);
  drawn.first.cdw11 = uint32_t(blocks.first >> 32);
  drawn.first.cdw12 = uint32_t(blocks.count - 1);
}

/// Draws for one command.
class Draw {
 public:
  Draw(Prng& prng, Volume& volume, uint32_t host, const CommandMix& mix, const CommandBounds& bounds)
      : prng_(prng), volume_(volume), mix_(mix), bounds_(bounds) {
    drawn_.volume = &volume;
    drawn_.access.host = host;
    drawn_.first.nsid = volume.traits().nsid;
  }

  DrawnCommand command() {
    const unsigned weights[] = {mix_.read,    mix_.write, mix_.flush,  mix_.write_zeroes, mix_.deallocate,
                                mix_.compare, mix_.fused, mix_.verify, mix_.copy,         mix_.invalid};
    unsigned all = 0;
    for (const unsigned weight : weights) all += weight;
    WEFT_ASSERT(all > 0);
    uint64_t lot = prng_.below(all);
    size_t kind = 0;
    while (lot >= weights[kind]) lot -= weights[kind++];
    switch (kind) {
      case 0: read(); break;
      case 1: write(); break;
      case 2: flush(); break;
      case 3: write_zeroes(); break;
      case 4: deallocate(); break;
      case 5: compare(); break;
      case 6: pair(); break;
      case 7: verify(); break;
      case 8: copy(); break;
      default: invalid(); break;
    }
    return std::move(drawn_);
  }

 private:
  uint32_t block_size() const { return volume_.traits().block_size; }
  uint64_t block_count() const { return volume_.traits().block_count; }

  /// At most `max` blocks within the namespace; hot ones half of the time.
  Blocks range(uint64_t max) {
    max = std::clamp<uint64_t>(max, 1, block_count());
    uint64_t count = 1;
    if (!prng_.one_in(2)) count = 1 + prng_.below(std::min<uint64_t>(8, max));
    if (prng_.one_in(8)) count = 1 + prng_.below(std::min(max, std::max<uint64_t>(1, kOrdinaryBytes / block_size())));
    if (prng_.one_in(mix_.large_one_in)) count = 1 + prng_.below(max);
    count = std::min(count, max);
    const uint64_t last = block_count() - count;  // the highest start
    const uint64_t first = prng_.one_in(2) ? prng_.below(last + 1) : prng_.below(std::min(last + 1, std::max<uint64_t>(1, mix_.hot_blocks)));
    return {first, count};
  }
  uint64_t transfer_blocks() const { return std::min<uint64_t>(bounds_.transfer_bytes / block_size(), 65536); }

  void set(AccessKind kind, IoOpcode opcode, Blocks blocks) { set_blocks(drawn_, kind, opcode, blocks); }
  /// For commands that change blocks: FUA now and then.
  void set_stability(nvme::Sqe& sqe) {
    const bool is_forced = prng_.one_in(4);
    if (is_forced) sqe.cdw12 = uint32_t{sqe.cdw12} | nvme::kCdw12Fua;
    if (is_forced || !bounds_.has_write_cache) drawn_.access.stability = Stability::kStable;
  }

  void read() { drawn_ = read_command(volume_, drawn_.access.host, range(transfer_blocks())); }
  void write() {
    set(AccessKind::kWrite, IoOpcode::kWrite, range(transfer_blocks()));
    set_stability(drawn_.first);
    drawn_.out_bytes = drawn_.access.block_count() * block_size();
  }
  void flush() {
    drawn_.access.kind = AccessKind::kFlush;
    drawn_.first.opcode = uint8_t(IoOpcode::kFlush);
  }
  void write_zeroes() {
    set(AccessKind::kWriteZeroes, IoOpcode::kWriteZeroes, range(kNoDataBlocks));
    set_stability(drawn_.first);
    if (prng_.one_in(2)) drawn_.first.cdw12 = uint32_t{drawn_.first.cdw12} | nvme::kCdw12Deallocate;
  }
  void verify() { set(AccessKind::kVerify, IoOpcode::kVerify, range(kNoDataBlocks)); }

  void compare() {
    set(AccessKind::kCompare, IoOpcode::kCompare, range(transfer_blocks()));
    expect_likely();
    drawn_.out_bytes = drawn_.access.block_count() * block_size();
  }
  /// What the blocks hold most likely; now and then one that nobody wrote.
  void expect_likely() {
    Access& access = drawn_.access;
    access.expected = volume_.likely(access.ranges.front());
    if (prng_.one_in(4)) {
      const uint64_t index = prng_.below(access.expected.size());
      access.expected[index] = {.run = access.host, .sequence = kNoCommand, .lba = access.ranges.front().first + index};
    }
  }
  void pair() {
    const uint64_t max = std::min<uint64_t>(bounds_.fused_blocks, transfer_blocks());
    set(AccessKind::kFused, IoOpcode::kCompare, range(std::min<uint64_t>(max, 4)));
    drawn_.access.expected = volume_.likely(drawn_.access.ranges.front());
    drawn_.first.flags = uint8_t(nvme::Fuse::kFirst);
    drawn_.second = drawn_.first;
    drawn_.second->opcode = uint8_t(IoOpcode::kWrite);
    drawn_.second->flags = uint8_t(nvme::Fuse::kSecond);
    set_stability(*drawn_.second);
    drawn_.out_bytes = drawn_.access.block_count() * block_size();
  }

  void deallocate() {
    Access& access = drawn_.access;
    access.kind = AccessKind::kDeallocate;
    const uint64_t most = 1 + prng_.below(kRangesToDeallocate);
    for (uint64_t i = 0; i < most; ++i) {
      const Blocks blocks = range(kNoDataBlocks);
      // The model has one effect of a command on a block.
      const auto overlaps = [&](const Blocks& other) { return blocks.first < other.end() && other.first < blocks.end(); };
      if (std::ranges::none_of(access.ranges, overlaps)) access.ranges.push_back(blocks);
    }
    const size_t count = access.ranges.size();
    drawn_.ranges.resize(count * sizeof(nvme::DsmRange));
    for (size_t i = 0; i < count; ++i) {
      const Blocks blocks = access.ranges[i];
      const nvme::DsmRange wire{.attributes = 0u, .length_blocks = uint32_t(blocks.count), .slba = blocks.first};
      std::memcpy(drawn_.ranges.data() + i * sizeof wire, &wire, sizeof wire);
    }
    drawn_.first.opcode = uint8_t(IoOpcode::kDatasetManagement);
    drawn_.first.cdw10 = uint32_t(count - 1);
    drawn_.first.cdw11 = nvme::kDsmDeallocate;
    drawn_.out_bytes = drawn_.ranges.size();
  }

  void copy() {
    const CopyBounds& copy = bounds_.copy;
    if (copy.ranges == 0 || block_count() < 2) return read();
    Access& access = drawn_.access;
    uint64_t left = std::min<uint64_t>({copy.blocks, kCopyBlocks, block_count() / 2});
    const uint64_t ranges = 1 + prng_.below(std::min<uint64_t>(copy.ranges, 3));
    for (uint64_t i = 0; i < ranges && left > 0; ++i) {
      const Blocks blocks = range(std::min<uint64_t>(left, copy.range_blocks));
      access.ranges.push_back(blocks);
      left -= blocks.count;
    }
    // The target writes piece by piece: what it brings is only known where no source is also a destination.
    access.target = range(1).first;
    const Blocks target{access.target, access.block_count()};
    const bool is_overlapping = std::ranges::any_of(
        access.ranges, [&](const Blocks& source) { return source.first < target.end() && target.first < source.end(); });
    if (is_overlapping || target.end() > block_count()) {
      access.ranges.clear();
      return read();
    }
    access.kind = AccessKind::kCopy;
    drawn_.ranges.resize(access.ranges.size() * sizeof(nvme::CopyRange));
    for (size_t i = 0; i < access.ranges.size(); ++i) {
      nvme::CopyRange wire{};
      wire.slba = access.ranges[i].first;
      wire.nlb = uint16_t(access.ranges[i].count - 1);
      std::memcpy(drawn_.ranges.data() + i * sizeof wire, &wire, sizeof wire);
    }
    drawn_.first.opcode = uint8_t(IoOpcode::kCopy);
    drawn_.first.cdw10 = uint32_t(access.target);
    drawn_.first.cdw11 = uint32_t(access.target >> 32);
    drawn_.first.cdw12 = uint32_t(access.ranges.size() - 1);
    set_stability(drawn_.first);
    drawn_.out_bytes = drawn_.ranges.size();
  }

  /// Commands that must fail, and change nothing: what a write of these carries is in no version of any block.
  void invalid() {
    switch (prng_.below(8)) {
      case 0:
        read();
        drawn_.first.cdw11 = uint32_t(kFarAway >> 32);
        drawn_.due = status::kLbaOutOfRange;
        break;
      case 1:
        write();
        drawn_.first.cdw11 = uint32_t(kFarAway >> 32);
        drawn_.due = status::kLbaOutOfRange;
        break;
      case 2:
        write();
        drawn_.first.nsid = prng_.one_in(2) ? 0 : 0xfffffffe;
        drawn_.due = status::kInvalidNamespace;
        break;
      case 3:
        flush();
        drawn_.first.opcode = 0x80;  // vendor specific, without data
        drawn_.due = status::kInvalidOpcode;
        break;
      case 4:
        write();
        drawn_.first.flags = uint8_t(nvme::Fuse::kReserved);
        drawn_.due = status::kInvalidField;
        break;
      case 5:
        write();
        drawn_.first.flags = uint8_t(nvme::Fuse::kSecond);
        drawn_.due = status::kAbortedMissingFused;
        break;
      case 6:
        read();
        if (drawn_.in_bytes + block_size() <= bounds_.transfer_bytes) {
          drawn_.in_bytes += block_size();
        } else {
          drawn_.in_bytes -= block_size();
        }
        drawn_.due = status::kSglLengthInvalid;
        break;
      default:
        write_zeroes();
        drawn_.first.cdw10 = ~0u;
        drawn_.first.cdw11 = ~0u;
        drawn_.due = status::kLbaOutOfRange;
        break;
    }
  }

  Prng& prng_;
  Volume& volume_;
  const CommandMix& mix_;
  const CommandBounds& bounds_;
  DrawnCommand drawn_;
};

}  // namespace

DrawnCommand read_command(Volume& volume, uint32_t host, Blocks blocks) {
  DrawnCommand drawn{.volume = &volume};
  drawn.access.host = host;
  drawn.first.nsid = volume.traits().nsid;
  set_blocks(drawn, AccessKind::kRead, IoOpcode::kRead, blocks);
  drawn.in_bytes = blocks.count * volume.traits().block_size;
  return drawn;
}

DrawnCommand draw_command(Prng& prng, Volume& volume, uint32_t host, const CommandMix& mix, const CommandBounds& bounds) {
  return Draw{prng, volume, host, mix, bounds}.command();
}

}  // namespace weft::sim
