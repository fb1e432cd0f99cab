// The memory keys of a MemoryFabric: which memory each names, whose it is, and what a peer may do with it. Belongs to the fabric.
#pragma once
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <span>

namespace weft::verbs {

class MemoryKeys {
 public:
  struct Entry {
    std::span<std::byte> bytes;
    int access = 0;       // IBV_ACCESS_…
    uint64_t domain = 0;  // whose memory it is
    uint32_t pair = 0;    // of a window: the only queue pair over which a peer may use it; 0: any of the domain
  };
  struct Use {
    uint32_t key = 0;
    uint64_t address = 0;
    size_t size = 0;
    int access = 0;
    uint64_t domain = 0;
    uint32_t pair = 0;  // over which the use comes; 0: the domain's own
  };

  /// A region under a new key, which no other has or had.
  uint32_t add(const Entry& entry);
  /// The first key of a new window; the lowest byte is for who binds.
  uint32_t new_window_key();
  /// False: the key is in use.
  bool bind(uint32_t key, const Entry& entry);
  /// The memory, or why that use is not allowed, in words.
  std::expected<std::byte*, const char*> find(const Use& use) const;
  /// False: the key is none of that queue pair's.
  bool invalidate(uint32_t key, uint64_t domain, uint32_t pair);
  /// Regions and windows of the domain go.
  void remove_domain(uint64_t domain);
  /// Windows of the queue pair go.
  void remove_pair(uint32_t pair);
  bool contains(uint32_t key) const { return entries_.contains(key); }

 private:
  std::map<uint32_t, Entry> entries_;
  uint32_t next_region_ = 0x100;
  uint32_t next_window_ = 0x100000;
};

}  // namespace weft::verbs
