// Makes huge pages of memory that has been used in small ones, in a thread of its own (MADV_COLLAPSE, Linux 6.1). A reactor that touches a huge page first
// waits until 2 MiB are cleared, 5 to 10 ms on a loaded virtual machine; one that touches a small page does not, and what it costs to have small pages for
// ever, a fifth of the reads per second of a large RAM disk, is saved a moment later. Only a huge page's worth whose every page is there is taken, so no
// memory is used that was not used before. Whoever touches it in that moment waits for 2 MiB to be copied. docs/adr/0018-huge-pages-later.md.
#pragma once
#include <sys/mman.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Debian 12's headers do not have it, its kernel does
#endif

namespace weft::platform {

/// Any thread.
class PageCollapser {
 public:
  static constexpr size_t kHugePage = 2 << 20;  // bytes
  PageCollapser() = default;
  /// Requires: everything was removed.
  ~PageCollapser();
  PageCollapser(const PageCollapser&) = delete;
  PageCollapser& operator=(const PageCollapser&) = delete;

  /// Looks after `memory`, which is private and anonymous, until remove(). Its last part that is no whole huge page stays as it is. Requires: starts at a
  /// multiple of kHugePage.
  void add(std::span<std::byte> memory);
  /// Waits for the huge page that is being made. Nothing when the memory was not added.
  void remove(std::span<std::byte> memory);
  /// One look at what there is, as the thread takes it: at most kLooks huge pages' worth, going on where the last one has ended.
  void look();
  /// Bytes of which huge pages were made, since the start.
  uint64_t bytes_collapsed() const { return bytes_collapsed_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kLooks = 1024;   // of one look(): some milliseconds
  static constexpr uint8_t kTriesMax = 3;  // pinned memory is refused
  /// One add(): how often each huge page's worth was tried; kTriesMax: no more.
  using Area = std::vector<uint8_t>;

  void run();
  bool has_grown();
  void consider(std::byte* start, uint8_t& tries);

  std::mutex mutex_;  // for what follows, but for the thread
  std::condition_variable wakes_;
  std::map<std::byte*, Area> areas_;
  std::byte* next_area_ = nullptr;  // where look() goes on: the first area from here, at next_part_
  size_t next_part_ = 0;
  size_t parts_ = 0;     // of all areas
  size_t unlooked_ = 0;  // parts to look at until nothing can be there that was not seen since memory has last grown
  uint64_t resident_pages_ = 0;
  bool is_refused_ = false;  // this kernel cannot
  bool is_stopping_ = false;
  std::atomic<uint64_t> bytes_collapsed_{0};
  std::thread thread_;  // from the first add() on
};

}  // namespace weft::platform
