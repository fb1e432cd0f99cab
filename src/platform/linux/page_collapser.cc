#include "platform/linux/page_collapser.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <sstream>

#include "base/assert.h"
#include "platform/linux/text_file.h"

namespace weft::platform {
namespace {

constexpr size_t kPage = 4096;
constexpr auto kPause = std::chrono::seconds(1);

bool is_all_there(std::byte* start) {
  std::array<unsigned char, PageCollapser::kHugePage / kPage> pages;
  if (::mincore(start, PageCollapser::kHugePage, pages.data()) != 0) return false;
  return std::ranges::all_of(pages, [](unsigned char page) { return (page & 1) != 0; });
}

}  // namespace

PageCollapser::~PageCollapser() {
  {
    const std::lock_guard lock(mutex_);
    WEFT_ASSERT(areas_.empty());
    is_stopping_ = true;
  }
  wakes_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PageCollapser::add(std::span<std::byte> memory) {
  WEFT_ASSERT(reinterpret_cast<uintptr_t>(memory.data()) % kHugePage == 0);
  const std::lock_guard lock(mutex_);
  const bool is_new = areas_.emplace(memory.data(), Area(memory.size() / kHugePage)).second;
  WEFT_ASSERT(is_new);
  parts_ += memory.size() / kHugePage;
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void PageCollapser::remove(std::span<std::byte> memory) {
  const std::lock_guard lock(mutex_);
  const auto found = areas_.find(memory.data());
  if (found == areas_.end()) return;
  parts_ -= found->second.size();
  areas_.erase(found);
}

void PageCollapser::run() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_ && !is_refused_) {
    wakes_.wait_for(lock, kPause);
    if (has_grown()) unlooked_ = parts_;
    if (unlooked_ == 0 || is_stopping_) continue;
    lock.unlock();
    look();
    lock.lock();
  }
}

/// Whether this process has taken memory since it was last asked.
bool PageCollapser::has_grown() {
  uint64_t size = 0, resident = 0;
  std::istringstream(read_text("/proc/self/statm").value_or("")) >> size >> resident;
  const bool has = resident > resident_pages_;
  resident_pages_ = resident;
  return has;
}

void PageCollapser::look() {
  for (size_t i = 0; i < kLooks; ++i) {
    const std::lock_guard lock(mutex_);  // not for longer: remove() waits
    if (areas_.empty() || is_refused_) return;
    auto area = areas_.lower_bound(next_area_);
    if (area == areas_.end()) area = areas_.begin();
    if (area->first != next_area_) next_part_ = 0;
    next_area_ = area->first;
    if (next_part_ < area->second.size()) consider(area->first + next_part_ * kHugePage, area->second[next_part_]);
    if (unlooked_ > 0) --unlooked_;
    if (++next_part_ >= area->second.size()) ++next_area_;  // the next one that there is
  }
}

void PageCollapser::consider(std::byte* start, uint8_t& tries) {
  if (tries == kTriesMax || !is_all_there(start)) return;
  if (::madvise(start, kHugePage, MADV_COLLAPSE) == 0) {
    tries = kTriesMax;
    bytes_collapsed_.fetch_add(kHugePage, std::memory_order_relaxed);
  } else if (errno == EINVAL) {
    is_refused_ = true;
  } else {
    ++tries;
  }
}

}  // namespace weft::platform
