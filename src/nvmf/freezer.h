// Exclusion on a namespace, its one mechanism: freeze a range, act, thaw. The home reactor mails every shard; each parks new commands that
// overlap and acknowledges when those that it had running are done; then the one who asked may act. One freeze at a time per namespace,
// others wait in order. Lives on the target's home reactor; the shards' half is NamespaceView.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace weft::nvmf {

class Shard;

struct BlockRange {
  uint64_t first = 0;
  uint64_t count = 0;
  bool overlaps(const BlockRange& other) const {
    return first < other.first + other.count && other.first < first + count;
  }
};

class Freezer {
 public:
  using Shards = std::vector<Shard*>;
  Freezer(Shards shards, uint32_t nsid) : shards_(std::move(shards)), nsid_(nsid) {}

  /// Runs `granted` on `requester`'s reactor once the range is frozen everywhere. Home reactor.
  void freeze(uint32_t subsystem, BlockRange range, Shard& requester, std::move_only_function<void()> granted);
  /// Ends the freeze in force. Home reactor.
  void thaw();

 private:
  struct Request {
    uint32_t subsystem;
    BlockRange range;
    Shard* requester;
    std::move_only_function<void()> granted;
  };
  void start_next();
  void acknowledged();

  Shards shards_;
  uint32_t nsid_;
  std::deque<Request> waiting_;  // the front one is in force
  size_t acknowledgements_missing_ = 0;
};

}  // namespace weft::nvmf
